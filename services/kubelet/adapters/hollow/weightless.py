"""The rest of what the kubelet needs of a machine, without one: all is there, and all is well."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pilothouse.services.kubelet.pod.configs import Mount
from pilothouse.services.kubelet.pod.observed import Container as Running
from pilothouse.services.kubelet.pod.probes import Outcome
from pilothouse.services.kubelet.pod.views import Container, Hook, Pod, Probe
from pilothouse.services.kubelet.ports import Credentials, Image, RuntimeState
from pilothouse.services.runtime.client.events import Reference

NOBODY = 65_534
"""Whom every image runs as, so that ``runAsNonRoot`` is met."""
PASSED = Outcome(passed=True)
WELL = RuntimeState("simulated", "1")


class Well:
    """How the runtime is, always."""

    async def state(self) -> RuntimeState:
        return WELL


class EveryImage:
    """Each one is at hand."""

    async def find(self, image: str) -> Image | None:
        return Image(image, NOBODY)

    async def pull(self, image: str, credentials: Credentials | None = None) -> Image:
        return Image(image, NOBODY)


class NoVolumes:
    """Nobody looks into them."""

    async def prepare(
        self, pod: Pod, ips: Sequence[str], changed: Callable[[], None]
    ) -> float | None:
        return None

    def mounts(
        self,
        pod: Pod,
        container: Container,
        attempt: int,
        env: Mapping[str, str],
        ips: Sequence[str],
    ) -> list[Mount]:
        return []

    def remove(self, uid: str) -> None: ...


class NoCgroups:
    """Nothing runs in them."""

    def prepare(self, pod: Pod) -> None: ...
    def memory_used(self, pod: Pod, container_id: str = "") -> int:
        return 0

    def kill(self, uid: str, container_id: str) -> None: ...
    def remove(self, uid: str) -> None: ...


class NoLogs:
    """Nobody writes any."""

    def make(self, path: Path) -> None: ...
    def remove(self, path: Path) -> None: ...
    def remove_file(self, path: Path) -> None: ...


class NoNotes:
    """Events of ten thousand pods would be most of the work, and tell nothing."""

    def note(self, about: Reference, type_: str, reason: str, message: str) -> None: ...


class Passing:
    """Every probe and every hook, at once."""

    async def check(self, probe: Probe, container: Container, running: Running, ip: str) -> Outcome:
        return PASSED

    async def hook(self, hook: Hook, container: Container, running: Running, ip: str) -> Outcome:
        return PASSED
