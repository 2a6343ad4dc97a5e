"""What pods are told of devices, and what the kubelet asks of who hands them out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pilothouse.services.kubelet.pod.configs import DeviceNode, Mount
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources.admission import Rejection

UNEXPECTED = "UnexpectedAdmissionError"


@dataclass(frozen=True, slots=True)
class Given:
    """What comes with a container's devices."""

    env: Mapping[str, str] = field(default_factory=dict)
    mounts: Sequence[Mount] = ()
    nodes: Sequence[DeviceNode] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    cdi_devices: Sequence[str] = ()


NOTHING = Given()


class Devices(Protocol):
    """Of one node."""

    async def allocate(self, pod: Pod, active: Collection[str]) -> Rejection | None:
        """Give the pod what it asks for, once; why it can not be had.

        ``active``: uids of the pods that may have some.
        """

    async def given(self, pod: Pod, container: str) -> Given:
        """What the container is started with; the plugin hears that it is. Raises ApiError."""

    def has(self, uid: str) -> bool:
        """Whether the pod has any."""

    def health(self, uid: str, container: str) -> list[dict[str, Any]]:
        """``allocatedResourcesStatus`` of one container."""

    def release(self, uid: str) -> None:
        """The pod is gone."""


class NoDevices:
    """A node without."""

    async def allocate(self, pod: Pod, active: Collection[str]) -> Rejection | None:
        return None

    async def given(self, pod: Pod, container: str) -> Given:
        return NOTHING

    def has(self, uid: str) -> bool:
        return False

    def health(self, uid: str, container: str) -> list[dict[str, Any]]:
        return []

    def release(self, uid: str) -> None: ...
