"""Whether a pod that was sent here can start at all: free ports, and resources enough. Pure.

Whoever binds a pod knows the node only as it was told; what is refused here has failed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources import resizing
from pilothouse.services.machinery import quantity

_EVERYWHERE = ("", "0.0.0.0", "::")
_PORTS = "node(s) didn't have free ports for the requested pod ports"


@dataclass(frozen=True, slots=True)
class Rejection:
    """``reason`` is one word, ``message`` a sentence; as a pod's status tells them."""

    reason: str
    message: str


def is_new(pod: Pod) -> bool:
    """Whether no kubelet has looked at it yet."""
    return not pod.status.get("startTime") and not pod.metadata.deleting


def judge(pod: Pod, allocatable: Mapping[str, str], others: Sequence[Pod]) -> Rejection | None:
    """Why it can not start beside ``others``; None when it can."""
    taken = [port for other in others for port in _host_ports(other)]
    if any(_clash(mine, theirs) for mine in _host_ports(pod) for theirs in taken):
        return Rejection("NodePorts", f"Pod was rejected: Predicate NodePorts failed: {_PORTS}")
    if "pods" in allocatable:
        most = int(quantity.ceiling(allocatable["pods"]))
        if len(others) >= most:
            return _lacking("pods", 1, len(others), most)
    wanted = resizing.requested(pod)
    used = [resizing.requested(other) for other in others]
    for name, amount in wanted.items():
        if name not in allocatable or not amount:
            continue
        exact = quantity.milli if name == "cpu" else quantity.ceiling
        present, most = sum(item[name] for item in used), int(exact(allocatable[name]))
        if amount + present > most:
            return _lacking(name, amount, present, most)
    return None


def _lacking(name: str, wanted: int, used: int, most: int) -> Rejection:
    told = f"requested: {wanted}, used: {used}, capacity: {most}"
    text = f"Pod was rejected: Node didn't have enough resource: {name}, {told}"
    return Rejection(f"OutOf{name}", text)


def _host_ports(pod: Pod) -> Iterator[tuple[str, str, int]]:
    for container in pod.spec.containers:
        for port in container.ports:
            if port.host_port:
                yield port.host_ip, port.protocol, port.host_port


def _clash(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    if one[1:] != other[1:]:
        return False
    return one[0] == other[0] or one[0] in _EVERYWHERE or other[0] in _EVERYWHERE
