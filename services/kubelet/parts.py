"""What all pod workers of a node share."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pilothouse.services.kubelet.devices.ports import Devices, NoDevices
from pilothouse.services.kubelet.images.access import Policy, Records
from pilothouse.services.kubelet.metrics.meters import Meters
from pilothouse.services.kubelet.pod.configs import Dns
from pilothouse.services.kubelet.pod.downward import Surroundings
from pilothouse.services.kubelet.pod.observed import WAIT_MAX_SECONDS
from pilothouse.services.kubelet.pod.observed import Container as Running
from pilothouse.services.kubelet.pod.probes import Outcome
from pilothouse.services.kubelet.pod.views import Container, EphemeralContainer, Hook, Pod, Probe
from pilothouse.services.kubelet.ports import (
    Cgroups,
    Cluster,
    Images,
    ImageVolumes,
    LogDirectories,
    Runtime,
    Volumes,
)
from pilothouse.services.kubelet.resources.processors import AnyProcessors, Processors
from pilothouse.services.kubelet.resources.qos import TERMS, Terms
from pilothouse.services.kubelet.security.confinement import Confinement
from pilothouse.services.runtime.client.events import Reference
from pilothouse.services.runtime.clock import Clock

SANDBOXES_AT_ONCE = 8
STATUSES_AT_ONCE = 16


class Probing(Protocol):
    """Carries out probes and hooks; never raises."""

    async def check(
        self, probe: Probe, container: Container, running: Running, ip: str
    ) -> Outcome: ...
    async def hook(
        self, hook: Hook, container: Container, running: Running, ip: str
    ) -> Outcome: ...


class Notes(Protocol):
    """Events for people."""

    def note(self, about: Reference, type_: str, reason: str, message: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Node:
    """Facts of this node; ``cluster_dns.searches`` is the cluster's domain."""

    name: str
    around: Surroundings
    memory_bytes: int
    cgroup_root: str
    logs: Path
    cluster_dns: Dns
    host_dns: Dns
    terms: Terms = TERMS


@dataclass(frozen=True, slots=True)
class Parts:
    """The outside, once for all pods.

    ``pulled``: who has pulled which image; None where nobody minds.
    ``image_volumes``: None where there is no file system to mount.
    ``pulling``: images that may be pulled at a time.
    ``telling``: pods whose status may be written at a time; each tells the newest when its turn
    comes. ``linger_seconds``: what a status says within this is one write.
    ``meters``: where turns of workers and evictions are counted; None: nowhere.
    """

    node: Node
    clock: Clock
    runtime: Runtime
    images: Images
    probing: Probing
    cluster: Cluster
    volumes: Volumes
    cgroups: Cgroups
    notes: Notes
    logs: LogDirectories
    starting: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(SANDBOXES_AT_ONCE)
    )
    pulling: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    telling: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(STATUSES_AT_ONCE))
    linger_seconds: float = 0.0
    image_volumes: ImageVolumes | None = None
    pulled: Records | None = None
    pulled_policy: Policy = field(default_factory=Policy)
    confinement: Confinement = field(default_factory=Confinement)
    devices: Devices = field(default_factory=NoDevices)
    processors: Processors = field(default_factory=AnyProcessors)
    restart_wait_max: float = WAIT_MAX_SECONDS
    meters: Meters | None = None


def log_directory(node: Node, pod: Pod) -> Path:
    """Where the logs of all containers of a pod are."""
    metadata = pod.metadata
    return node.logs / f"{metadata.namespace}_{metadata.name}_{metadata.uid}"


def reference(pod: Pod, spec: Container | None = None) -> Reference:
    """The pod, or one container of it, as events name it."""
    field_path = ""
    if spec is not None:
        part = "initContainers" if spec in pod.spec.init_containers else "containers"
        if isinstance(spec, EphemeralContainer):
            part = "ephemeralContainers"
        field_path = f"spec.{part}{{{spec.name}}}"
    metadata = pod.metadata
    return Reference(
        kind="Pod",
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        field_path=field_path,
        resource_version=metadata.resource_version,
    )
