"""Which nodes a DaemonSet's pods belong on, and which node each of its pods is for."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from pilothouse.services.machinery.kinds import affinity, daemonsets, pods
from pilothouse.services.machinery.kinds.daemonsets import DaemonSet
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.pods import Pod, Toleration
from pilothouse.services.machinery.objects import View


class _Template(View, frozen=True, kw_only=True):
    spec: pods.Spec = pods.Spec()


@dataclass(frozen=True, slots=True)
class Place:
    """A node with its pods; ``may_stay``: those there may run on, though none would be started."""

    node: str
    wanted: bool
    may_stay: bool
    pods: tuple[Pod, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """By node; ``lost`` wait to be scheduled on nodes that are gone."""

    nodes: tuple[Place, ...]
    lost: tuple[Pod, ...]


@lru_cache(maxsize=256)
def _spec(template: bytes) -> pods.Spec:
    return msgspec.json.decode(template, type=_Template).spec


def place(daemonset: DaemonSet, nodes: Iterable[Node], owned: Iterable[Pod]) -> Places:
    """Sort pods to the nodes that they run on or are for.

    Ended pods that are being deleted are nobody's business any more.
    """
    by_node: dict[str, list[Pod]] = {}
    for pod in owned:
        target = node_of(pod)
        if target and not (pod.metadata.deleting and pods.is_terminal(pod)):
            by_node.setdefault(target, []).append(pod)
    spec = _spec(bytes(daemonset.spec.template))
    found = []
    for node in sorted(nodes, key=lambda item: item.metadata.name):
        name = node.metadata.name
        wanted, may_stay = fits(spec, node)
        here = sorted(by_node.pop(name, ()), key=seniority)
        found.append(Place(name, wanted, may_stay, tuple(here)))
    lost = [
        pod
        for name in sorted(by_node)
        for pod in by_node[name]
        if not (pod.spec.node_name or pod.metadata.deleting)
    ]
    return Places(tuple(found), tuple(lost))


def node_of(pod: Pod) -> str:
    """The node it is bound to or made for; empty when it is for none."""
    return pod.spec.node_name or affinity.named_node(pod.spec.affinity)


def seniority(pod: Pod) -> tuple[bool, str, str]:
    """Scheduled ones first, then the oldest."""
    metadata = pod.metadata
    return (not pod.spec.node_name, metadata.creation_timestamp or "", metadata.name)


def fits(spec: pods.Spec, node: Node) -> tuple[bool, bool]:
    """Whether a pod shall be started there, and whether one that is there may stay."""
    labels, name = node.metadata.labels, node.metadata.name
    if spec.node_name not in {"", name}:
        return False, False
    if not affinity.admits(spec.node_selector, spec.affinity, labels, name):
        return False, False
    if not node.spec.taints:
        return True, True
    told = (*spec.tolerations, *daemonsets.tolerations(host_network=spec.host_network))
    refused = {
        taint.effect for taint in node.spec.taints
        if not _tolerated(told, taint.key, taint.value, taint.effect)
    }  # fmt: skip
    if "NoExecute" in refused:
        return False, False
    return "NoSchedule" not in refused, True


def _tolerated(told: Iterable[Toleration], key: str, value: str, effect: str) -> bool:
    return any(pods.tolerates(toleration, key, value, effect) for toleration in told)
