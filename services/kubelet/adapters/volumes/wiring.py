"""Put the parts together that volumes need."""

from functools import partial

from pilothouse.services.kubelet.adapters.volumes.claims import MeshClaims
from pilothouse.services.kubelet.adapters.volumes.directories import NodeVolumes
from pilothouse.services.kubelet.adapters.volumes.pod_certificates import PodCertificates
from pilothouse.services.kubelet.adapters.volumes.references import References
from pilothouse.services.kubelet.adapters.volumes.sources import MeshSources
from pilothouse.services.kubelet.config import Config
from pilothouse.services.kubelet.pod.downward import Surroundings
from pilothouse.services.kubelet.ports import Cluster
from pilothouse.services.machinery.kinds import nodes
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import Clock

_WATCH = "Watch"


def build(
    config: Config,
    objects: Objects,
    cluster: Cluster,
    clock: Clock,
    around: Surroundings,
    node_cache: Cache[nodes.Node],
) -> tuple[NodeVolumes, References]:
    """The volumes, and the watches behind them, which are to run."""
    references = References(objects, clock)
    itself = partial(_identity, node_cache, config.node_name)
    certificates = PodCertificates(objects, references, clock, itself)
    kubelet = config.kubelet
    strategy = kubelet.config_map_and_secret_change_detection_strategy
    poll_seconds = None if strategy == _WATCH else float(kubelet.sync_frequency)
    sources = MeshSources(references, cluster, certificates, clock, poll_seconds)
    claims = MeshClaims(objects, references)
    volumes = NodeVolumes(config.paths.root, sources, around, config.cluster_domain, claims)
    return volumes, references


def _identity(cache: Cache[nodes.Node], name: str) -> tuple[str, str]:
    found = cache.get(Key("", name))
    return name, "" if found is None else found.metadata.uid
