"""Which taints a node's conditions ask for; those of others on it stay as they are."""

from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import nodes
from pilothouse.services.machinery.kinds.nodes import Node, Taint

_PRESSURES = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
EVICTING = frozenset({(nodes.NOT_READY, "NoExecute"), (nodes.UNREACHABLE, "NoExecute")})
_KEYS = (nodes.NOT_READY, nodes.UNREACHABLE, nodes.UNSCHEDULABLE, *_PRESSURES.values())
MANAGED = frozenset({*((key, "NoSchedule") for key in _KEYS), *EVICTING})


def taints(
    node: Node, told: tuple[Condition, ...], now: float, *, evicts: bool = True
) -> tuple[Taint, ...]:
    """Those of others as they are, and ours as the conditions want them; kept ones stay old.

    Whoever gives a key of ours another effect knows why: such a taint is not ours.
    Unless it ``evicts``, the node gets none that drives its pods away, and keeps none.
    """
    wanted = [pair for pair in _wanted(node, told) if evicts or pair not in EVICTING]
    kept = [
        taint
        for taint in node.spec.taints
        if (pair := (taint.key, taint.effect)) not in MANAGED or pair in wanted
    ]
    present = {(taint.key, taint.effect) for taint in kept}
    stamp = timestamps.render(now)
    added = [
        Taint(key=key, effect=effect, time_added=stamp)
        for key, effect in wanted
        if (key, effect) not in present
    ]
    return (*kept, *added)


def is_evicted(taints: tuple[Taint, ...]) -> bool:
    """Whether one of ours drives its pods away."""
    return any((taint.key, taint.effect) in EVICTING for taint in taints)


def _wanted(node: Node, told: tuple[Condition, ...]) -> list[tuple[str, str]]:
    ready = conditions.find(told, "Ready")
    wanted: list[tuple[str, str]] = []
    if ready is None:
        wanted.append((nodes.NOT_READY, "NoSchedule"))
    elif ready.status != "True":
        key = nodes.UNREACHABLE if ready.status == "Unknown" else nodes.NOT_READY
        wanted += [(key, "NoSchedule"), (key, "NoExecute")]
    for type_, key in _PRESSURES.items():
        if conditions.is_true(told, type_):
            wanted.append((key, "NoSchedule"))
    if node.spec.unschedulable:
        wanted.append((nodes.UNSCHEDULABLE, "NoSchedule"))
    return wanted
