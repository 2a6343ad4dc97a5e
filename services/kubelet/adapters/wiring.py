"""Put the parts of one kubelet together."""

from dataclasses import dataclass
from functools import partial

from grpc import aio

from pilothouse.services.kubelet.adapters import cni_conf, machine
from pilothouse.services.kubelet.adapters.cgroups import NodeCgroups
from pilothouse.services.kubelet.adapters.cluster import MeshCluster
from pilothouse.services.kubelet.adapters.cri import Cri, CriImages, CriStreams
from pilothouse.services.kubelet.adapters.log_folders import LogFolders
from pilothouse.services.kubelet.adapters.manifest_files import ManifestFiles
from pilothouse.services.kubelet.adapters.mesh_node import MeshNode
from pilothouse.services.kubelet.adapters.probing import NodeProbing
from pilothouse.services.kubelet.adapters.rotation import Rotation
from pilothouse.services.kubelet.adapters.runtime_events import RuntimeEvents
from pilothouse.services.kubelet.adapters.volumes import NodeVolumes
from pilothouse.services.kubelet.config import PORT, Config
from pilothouse.services.kubelet.manifests.manifests import Manifests
from pilothouse.services.kubelet.node import node
from pilothouse.services.kubelet.node.registration import Registration
from pilothouse.services.kubelet.parts import Node, Parts
from pilothouse.services.kubelet.pod.configs import Dns, parse_resolv_conf
from pilothouse.services.kubelet.pod.downward import Surroundings
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.machinery.kinds import nodes
from pilothouse.services.machinery.kinds.services import Service
from pilothouse.services.machinery.resources import NODES, PODS, SERVICES
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.events import Recorder
from pilothouse.services.runtime.client.objects import Objects, Selection
from pilothouse.services.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Kubelet:
    """All that runs: each has a ``run``, and the caches are first to be synced."""

    pods: Pods
    manifests: Manifests
    rotation: Rotation
    registration: Registration
    recorder: Recorder
    streams: CriStreams
    pod_cache: Cache[Pod]
    node_cache: Cache[nodes.Node]
    service_cache: Cache[Service]


def build(config: Config, mesh: aio.Channel, runtime: aio.Channel, clock: Clock) -> Kubelet:
    """No call is made yet, but directories are made."""
    config.paths.root.mkdir(parents=True, exist_ok=True)
    config.paths.logs.mkdir(parents=True, exist_ok=True)
    objects = Objects(mesh)
    here = machine.read(config.paths.root)
    port = config.serving.port if config.serving is not None else PORT
    identity = node.Identity(config.node_name, config.node_ip, port, config.pods_max)
    services = Cache(objects, SERVICES, Service, clock=clock)
    mine = Selection(fields=f"metadata.name={config.node_name}")
    node_cache = Cache(objects, NODES, nodes.Node, mine, clock=clock)
    on_node = Selection(fields=f"spec.nodeName={config.node_name}")
    pod_cache = Cache(objects, PODS, Pod, on_node, clock=clock)
    cluster = MeshCluster(objects, services, clock)
    around = Surroundings(config.node_ip, (), node.allocatable(identity, here))
    volumes = NodeVolumes(config.paths.root, cluster, clock, around)
    cgroups = NodeCgroups(config.cgroup_root)
    recorder = Recorder(objects, clock, "kubelet", config.node_name)
    cri, streams = Cri(runtime), CriStreams(runtime)
    parts = Parts(
        node=_facts(config, around, here.memory_bytes),
        clock=clock,
        runtime=cri,
        images=CriImages(runtime),
        probing=NodeProbing(streams, clock),
        cluster=cluster,
        volumes=volumes,
        cgroups=cgroups,
        notes=recorder,
        logs=LogFolders(),
    )
    pods = Pods(parts, cri, RuntimeEvents(runtime), [volumes, cgroups])
    files = ManifestFiles(config.paths.manifests)
    manifests = Manifests(files, cluster, pods, clock, config.node_name)
    cluster.name_mirrors(manifests.mirror_uid)
    pod_cache.on_change(manifests.change)
    paths = config.paths
    network = partial(cni_conf.write, paths.cni_conf, cache=paths.cni_cache, node_ip=config.node_ip)
    view = MeshNode(objects, node_cache, config.node_name, network)
    registration = Registration(view, view, streams, clock, identity, here)
    node_cache.on_change(registration.changed)
    return Kubelet(
        pods=pods,
        manifests=manifests,
        rotation=Rotation(pods, streams, clock),
        registration=registration,
        recorder=recorder,
        streams=streams,
        pod_cache=pod_cache,
        node_cache=node_cache,
        service_cache=services,
    )


def _facts(config: Config, around: Surroundings, memory_bytes: int) -> Node:
    resolv_conf = config.paths.resolv_conf
    host = parse_resolv_conf(resolv_conf.read_text()) if resolv_conf.exists() else Dns()
    return Node(
        name=config.node_name,
        around=around,
        memory_bytes=memory_bytes,
        cgroup_root=config.cgroup_root,
        logs=config.paths.logs,
        cluster_dns=Dns(config.cluster_dns, (config.cluster_domain,)),
        host_dns=host,
    )
