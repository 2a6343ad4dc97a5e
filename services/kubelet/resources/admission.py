"""Whether a pod that was sent here can start at all: place, free ports, resources enough. Pure.

Whoever binds a pod knows the node only as it was told; what is refused here has failed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources import amounts
from pilothouse.services.machinery.kinds import affinity
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.pods import tolerates

OS, OS_LABEL = "linux", "kubernetes.io/os"
SOURCE = "kubernetes.io/config.source"
"""An annotation of pods that come from the node itself."""
_EVERYWHERE = ("", "0.0.0.0", "::")
_PORTS = "node(s) didn't have free ports for the requested pod ports"
_AFFINITY = "node(s) didn't match Pod's node affinity/selector"
_TAINTS = "node(s) had taints that the pod didn't tolerate"


@dataclass(frozen=True, slots=True)
class Rejection:
    """``reason`` is one word, ``message`` a sentence; as a pod's status tells them."""

    reason: str
    message: str

    @property
    def is_of_size(self) -> bool:
        """Whether there is too little of something, and nothing else stands in the way."""
        return self.reason.startswith("OutOf")


def is_new(pod: Pod) -> bool:
    """Whether no kubelet has looked at it yet."""
    return not pod.status.get("startTime") and not pod.metadata.deleting


def judge(pod: Pod, allocatable: Mapping[str, str], others: Sequence[Pod]) -> Rejection | None:
    """Why it can not start beside ``others``; None when it can."""
    taken = [port for other in others for port in _host_ports(other)]
    if any(_clash(mine, theirs) for mine in _host_ports(pod) for theirs in taken):
        return _predicate("NodePorts", _PORTS)
    lacking = shortfalls(pod, allocatable, others)
    return _lacking(lacking[0]) if lacking else None


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Of one resource; cpu in thousandths."""

    resource: str
    wanted: int
    used: int
    capacity: int

    @property
    def missing(self) -> int:
        return self.wanted - (self.capacity - self.used)


def shortfalls(pod: Pod, allocatable: Mapping[str, str], others: Sequence[Pod]) -> list[Shortfall]:
    """What the node has too little of; resources that it does not know are nobody's here."""
    capacity = amounts.parsed(allocatable)
    found = []
    if "pods" in capacity and len(others) >= capacity["pods"]:
        found.append(Shortfall("pods", 1, len(others), capacity["pods"]))
    used = [amounts.of_pod(other, "requests") for other in others]
    for name, wanted in amounts.of_pod(pod, "requests").items():
        if name not in capacity or not wanted:
            continue
        present = sum(item.get(name, 0) for item in used)
        if wanted + present > capacity[name]:
            found.append(Shortfall(name, wanted, present, capacity[name]))
    return found


def misplaced(pod: Pod, node: Node) -> Rejection | None:
    """Why it does not belong on this very node; None when it does."""
    os = pod.spec.os.name if pod.spec.os is not None else OS
    wanted = pod.metadata.labels.get(OS_LABEL, OS)
    if wanted != OS:
        text = f"Failed to admit pod as the `{OS_LABEL}` label doesn't match node label"
        return Rejection("PodOSSelectorNodeLabelDoesNotMatch", text)
    if os != OS:
        text = "Failed to admit pod as the OS field doesn't match node OS"
        return Rejection("PodOSNotSupported", text)
    labels, name = node.metadata.labels, node.metadata.name
    if not affinity.admits(pod.spec.node_selector, pod.spec.affinity, labels, name):
        return _predicate("NodeAffinity", _AFFINITY)
    if SOURCE in pod.metadata.annotations:
        return None
    for taint in node.spec.taints:
        if taint.effect == "NoExecute" and not any(
            tolerates(item, taint.key, taint.value, taint.effect) for item in pod.spec.tolerations
        ):
            return _predicate("TaintToleration", _TAINTS)
    return None


def _predicate(name: str, why: str) -> Rejection:
    return Rejection(name, f"Pod was rejected: Predicate {name} failed: {why}")


def _lacking(short: Shortfall) -> Rejection:
    told = f"requested: {short.wanted}, used: {short.used}, capacity: {short.capacity}"
    text = f"Pod was rejected: Node didn't have enough resource: {short.resource}, {told}"
    return Rejection(f"OutOf{short.resource}", text)


def _host_ports(pod: Pod) -> Iterator[tuple[str, str, int]]:
    for container in pod.spec.containers:
        for port in container.ports:
            if port.host_port:
                yield port.host_ip, port.protocol, port.host_port


def _clash(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    if one[1:] != other[1:]:
        return False
    return one[0] == other[0] or one[0] in _EVERYWHERE or other[0] in _EVERYWHERE
