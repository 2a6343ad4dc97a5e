"""Put the parts of one kubelet together."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from grpc import aio

from pilothouse.services.kubelet.adapters import (
    cni_conf,
    confining,
    housekeeping,
    observing,
    resourcing,
    shutting,
)
from pilothouse.services.kubelet.adapters.api import offering
from pilothouse.services.kubelet.adapters.api.node import MeshNode
from pilothouse.services.kubelet.adapters.cri.checkpoint import CriCheckpoints
from pilothouse.services.kubelet.adapters.cri.events import RuntimeEvents
from pilothouse.services.kubelet.adapters.cri.metered import CountedCluster, CountedImages
from pilothouse.services.kubelet.adapters.cri.runtime import CriStreams
from pilothouse.services.kubelet.adapters.housekeeping import Housekeeping
from pilothouse.services.kubelet.adapters.images.records import PulledRecords
from pilothouse.services.kubelet.adapters.logs.folders import LogFolders
from pilothouse.services.kubelet.adapters.logs.rotation import Rotation
from pilothouse.services.kubelet.adapters.machine import processors
from pilothouse.services.kubelet.adapters.manifests import mirrors
from pilothouse.services.kubelet.adapters.observing import Counting, Observing, Ports
from pilothouse.services.kubelet.adapters.plugins.devices import DevicePlugins
from pilothouse.services.kubelet.adapters.volumes import wiring
from pilothouse.services.kubelet.adapters.volumes.images import ImageVolumes
from pilothouse.services.kubelet.adapters.volumes.references import References
from pilothouse.services.kubelet.config import Config
from pilothouse.services.kubelet.images.access import Policy
from pilothouse.services.kubelet.manifests.manifests import Manifests
from pilothouse.services.kubelet.node import node
from pilothouse.services.kubelet.node.node import Identity, Machine
from pilothouse.services.kubelet.node.registration import Registration
from pilothouse.services.kubelet.parts import Node, Parts
from pilothouse.services.kubelet.pod.configs import Dns, parse_resolv_conf
from pilothouse.services.kubelet.pod.downward import Surroundings
from pilothouse.services.kubelet.pod.observed import WAIT_MAX_SECONDS
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.ports import Leftovers
from pilothouse.services.kubelet.resources import allocatable
from pilothouse.services.kubelet.shutdown.shutdown import Shutdown
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.machinery.kinds import nodes
from pilothouse.services.machinery.kinds.services import Service
from pilothouse.services.machinery.resources import NODES, PODS, SERVICES
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.events import Recorder
from pilothouse.services.runtime.client.objects import Objects, Selection
from pilothouse.services.runtime.clock import Clock

PULLS_UNLIMITED = 1 << 20


@dataclass(frozen=True, slots=True)
class Kubelet:
    """All that runs: each has a ``run``, and the caches are first to be synced."""

    pods: Pods
    manifests: Manifests
    rotation: Rotation
    registration: Registration
    recorder: Recorder
    housekeeping: Housekeeping
    streams: CriStreams
    checkpoints: CriCheckpoints
    observing: Observing
    shutdown: Shutdown
    references: References
    devices: DevicePlugins
    pod_cache: Cache[Pod]
    node_cache: Cache[nodes.Node]
    service_cache: Cache[Service]


def build(
    config: Config, mesh: aio.Channel, runtime: aio.Channel, counting: Counting, clock: Clock
) -> Kubelet:
    """No call is made yet, but directories are made."""
    config.paths.root.mkdir(parents=True, exist_ok=True)
    config.paths.logs.mkdir(parents=True, exist_ok=True)
    ground = _ground(config, Objects(mesh), runtime, counting, clock)
    parts, caches, counted = ground.parts, ground.caches, ground.counted
    view = MeshNode(ground.objects, caches.nodes, config.node_name, _network(config))
    events = RuntimeEvents(runtime)
    pods = Pods(parts, counted.survey, events, ground.leftovers, node=view)
    manifests = mirrors.manifests(config, ground.objects, caches.nodes, pods, clock)
    ground.cluster.name_mirrors(manifests.mirror_uid)
    caches.pods.on_change(manifests.change)
    offered = offering.Offering(counted.streams, ground.devices)
    registration = Registration(view, view, offered, clock, ground.identity, ground.here)
    offering.tell(ground.devices, registration, pods)
    caches.nodes.on_change(registration.changed)
    seen = observing.Observed(pods, manifests, counted, ground.here)
    observing_ = observing.build(config, counting, ground.objects, runtime, clock, seen)
    heard = housekeeping.Heard(config, registration, pods, ground.recorder, parts.processors)
    host = shutting.NodeHost(config.node_name, registration, ground.recorder)
    return Kubelet(
        pods=pods,
        housekeeping=housekeeping.build(heard, observing_.usages, counted.cri, runtime, clock),
        manifests=manifests,
        rotation=Rotation(pods, counted.streams, clock),
        registration=registration,
        recorder=ground.recorder,
        streams=counted.streams,
        checkpoints=CriCheckpoints(runtime),
        observing=observing_,
        shutdown=shutting.build(config, pods, host, counting.meters, clock),
        references=ground.references,
        devices=ground.devices,
        pod_cache=caches.pods,
        node_cache=caches.nodes,
        service_cache=caches.services,
    )


@dataclass(frozen=True, slots=True)
class _Ground:
    """What pods stand on."""

    objects: Objects
    here: Machine
    identity: Identity
    caches: "_Caches"
    cluster: CountedCluster
    recorder: Recorder
    counted: Ports
    devices: DevicePlugins
    references: References
    leftovers: Sequence[Leftovers]
    parts: Parts


def _ground(
    config: Config, objects: Objects, runtime: aio.Channel, counting: Counting, clock: Clock
) -> _Ground:
    here = resourcing.here(config)
    identity = resourcing.identity(config, here)
    caches = _caches(config, objects, clock)
    cluster = CountedCluster(objects, caches.services, counting.meters, clock)
    around = Surroundings(config.node_ip, (), node.allocatable(identity, here))
    volumes, references = wiring.build(config, objects, cluster, clock, around, caches.nodes)
    cgroups = resourcing.limiting(config, here)
    recorder = Recorder(objects, clock, "kubelet", config.node_name)
    counted = counting.ports(runtime)
    devices = DevicePlugins(config.paths.root / "device-plugins", clock)
    parts = Parts(
        node=_facts(config, around, here),
        clock=clock,
        runtime=counted.cri,
        images=CountedImages(runtime, counting.meters, clock),
        probing=counted.probing,
        cluster=cluster,
        volumes=volumes,
        cgroups=cgroups,
        notes=recorder,
        logs=LogFolders(),
        processors=processors.build(config, here),
        confinement=confining.build(config, counted.streams),
        devices=devices,
        meters=counting.meters,
        pulling=asyncio.Semaphore(_pulls_at_once(config)),
        image_volumes=ImageVolumes(runtime, config.paths.root),
        pulled=PulledRecords(config.paths.root),
        pulled_policy=Policy(
            config.kubelet.image_pull_credentials_verification_policy,
            config.kubelet.preloaded_images_verification_allowlist,
        ),
        restart_wait_max=(
            config.kubelet.crash_loop_back_off.max_container_restart_period or WAIT_MAX_SECONDS
        ),
    )
    return _Ground(
        objects=objects,
        here=here,
        identity=identity,
        caches=caches,
        cluster=cluster,
        recorder=recorder,
        counted=counted,
        devices=devices,
        references=references,
        leftovers=[volumes, cgroups],
        parts=parts,
    )


@dataclass(frozen=True, slots=True)
class _Caches:
    """What is followed from the start: this node's pods, the node itself, all Services."""

    pods: Cache[Pod]
    nodes: Cache[nodes.Node]
    services: Cache[Service]


def _caches(config: Config, objects: Objects, clock: Clock) -> _Caches:
    on_node = Selection(fields=f"spec.nodeName={config.node_name}")
    itself = Selection(fields=f"metadata.name={config.node_name}")
    return _Caches(
        pods=Cache(objects, PODS, Pod, on_node, clock=clock),
        nodes=Cache(objects, NODES, nodes.Node, itself, clock=clock),
        services=Cache(objects, SERVICES, Service, clock=clock),
    )


def _network(config: Config) -> Callable[[str], object]:
    """Gives the runtime the range of pods' addresses."""
    paths = config.paths
    return partial(cni_conf.write, paths.cni_conf, cache=paths.cni_cache, node_ip=config.node_ip)


def _pulls_at_once(config: Config) -> int:
    if config.kubelet.serialize_image_pulls:
        return 1
    return config.kubelet.max_parallel_image_pulls or PULLS_UNLIMITED


def _facts(config: Config, around: Surroundings, here: Machine) -> Node:
    resolv_conf = config.paths.resolv_conf
    host = parse_resolv_conf(resolv_conf.read_text()) if resolv_conf.exists() else Dns()
    return Node(
        name=config.node_name,
        around=around,
        memory_bytes=here.memory_bytes,
        cgroup_root=config.cgroup_root,
        logs=config.paths.logs,
        cluster_dns=Dns(config.cluster_dns, (config.cluster_domain,)),
        host_dns=host,
        terms=allocatable.terms(config.kubelet, here.swap_bytes),
    )
