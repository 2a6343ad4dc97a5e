"""Put together what measures and counts on this node, and who judges those that ask for it."""

import ssl
from dataclasses import dataclass

from grpc import aio

from pilothouse.services.kubelet.adapters.api.listing import Listing
from pilothouse.services.kubelet.adapters.certificates.reviews import NodeReviews
from pilothouse.services.kubelet.adapters.certificates.serving import (
    CLIENT_FILE,
    SERVER_FILE,
    ClientFile,
    MeshSigner,
    PairFile,
    to_ask,
    to_serve,
)
from pilothouse.services.kubelet.adapters.cri.metered import (
    CountedCri,
    MeteredApi,
    MeteredProbing,
    MeteredRuntime,
    MeteredSurvey,
)
from pilothouse.services.kubelet.adapters.cri.runtime import CriStreams
from pilothouse.services.kubelet.adapters.cri.usage import CriUsage
from pilothouse.services.kubelet.adapters.machine.usage.surveyor import Place, Surveyor
from pilothouse.services.kubelet.adapters.probing import NodeProbing
from pilothouse.services.kubelet.certificates.serving import Serving
from pilothouse.services.kubelet.config import Config
from pilothouse.services.kubelet.manifests.manifests import Manifests
from pilothouse.services.kubelet.metrics.cadvisor import Platform
from pilothouse.services.kubelet.metrics.meters import Meters, ProbeMeters
from pilothouse.services.kubelet.node.node import Machine
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.door.reviews import Lifetimes, Reviews
from pilothouse.services.runtime.rpc.channel import open_channel


@dataclass(frozen=True, slots=True)
class Ports:
    """The runtime, counted."""

    cri: CountedCri
    streams: CriStreams
    probing: MeteredProbing
    survey: MeteredSurvey


def client_file(config: Config) -> ClientFile | None:
    """Where renewed client certificates are; None when they are not to be renewed."""
    if config.identity is None or not config.kubelet.rotate_certificates:
        return None
    return ClientFile(config.paths.root / "pki" / CLIENT_FILE, config.identity)


class Counting:
    """Counters, and channels whose calls are counted."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self.meters = Meters()
        self.probes = ProbeMeters()
        self._config = config
        self._clock = clock

    def mesh(self) -> aio.Channel:
        """To the API server."""
        config = self._config
        metered = MeteredApi(self.meters, config.server)
        kept = client_file(config)
        identity = config.identity if kept is None else kept.identity()
        return open_channel(config.server, identity, [metered])

    def runtime(self) -> aio.Channel:
        """To the container runtime."""
        metered = MeteredRuntime(self.meters, self._clock)
        return open_channel(self._config.runtime_endpoint, interceptors=[metered])

    def ports(self, channel: aio.Channel) -> Ports:
        """The runtime behind this channel."""
        clock, streams = self._clock, CriStreams(channel)
        cri = CountedCri(channel, self.meters)
        return Ports(
            cri=cri,
            streams=streams,
            probing=MeteredProbing(NodeProbing(streams, clock), self.probes, clock),
            survey=MeteredSurvey(cri, self.meters, clock),
        )


@dataclass(frozen=True, slots=True)
class Observing:
    """Who can tell what of this node, and whom."""

    counting: Counting
    survey: MeteredSurvey
    usages: Surveyor
    listing: Listing
    reviews: NodeReviews
    platform: Platform
    config: Config
    objects: Objects

    def client_certificate(self, clock: Clock) -> Serving | None:
        """Renews the client certificate, for the next time that the kubelet starts."""
        kept, name = client_file(self.config), self.config.node_name
        if kept is None:
            return None
        return Serving(MeshSigner(self.objects, to_ask(name), clock), kept, clock, name)

    def certificate(self, context: ssl.SSLContext, clock: Clock) -> Serving:
        """Keeps a certificate to serve with, in this context."""
        name, path = self.config.node_name, self.config.paths.root / "pki" / SERVER_FILE
        signer = MeshSigner(self.objects, to_serve(name, self.config.node_ip), clock)
        return Serving(signer, PairFile(path, context.load_cert_chain), clock, name)


@dataclass(frozen=True, slots=True)
class Observed:
    """What is looked at."""

    pods: Pods
    manifests: Manifests
    ports: Ports
    machine: Machine


def build(
    config: Config, counting: Counting, objects: Objects, runtime: aio.Channel, clock: Clock,
    seen: Observed,
) -> Observing:  # fmt: skip
    """No call is made yet."""
    paths = config.paths
    place = Place(
        config.node_name, config.cgroup_root, paths.root, paths.logs, config.runtime_endpoint
    )
    said = config.kubelet
    lifetimes = Lifetimes(
        token=said.authentication.webhook.cache_ttl,
        allowed=said.authorization.webhook.cache_authorized_ttl,
        refused=said.authorization.webhook.cache_unauthorized_ttl,
    )
    machine = seen.machine
    seen.ports.probing.of(seen.pods)
    return Observing(
        counting=counting,
        survey=seen.ports.survey,
        usages=Surveyor(place, seen.pods, CriUsage(runtime), clock),
        listing=Listing(objects, seen.pods, config.node_name, seen.manifests.bodies),
        reviews=NodeReviews(Reviews(objects, lifetimes, clock), config.node_name),
        platform=Platform(
            cores=machine.cpus,
            memory_bytes=machine.memory_bytes,
            swap_bytes=machine.swap_bytes,
            kernel=machine.kernel_version,
            system=machine.os_image,
            machine_id=machine.machine_id,
            boot_id=machine.boot_id,
            system_uuid=machine.system_uuid,
        ),
        config=config,
        objects=objects,
    )
