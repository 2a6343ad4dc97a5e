"""Who makes room when a critical pod is sent to a node that is full. Pure.

As few as possible, and of them those that ask for least; who asked for nothing goes first, who is
guaranteed what it asked for last.
"""

from collections.abc import Iterable, Mapping, Sequence

from pilothouse.services.kubelet.eviction.ranking import is_critical
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources import amounts
from pilothouse.services.kubelet.resources.admission import Shortfall
from pilothouse.services.kubelet.resources.qos import qos_class

REASON = "Preempting"
MESSAGE = "Preempted in order to admit critical pod"
Missing = Mapping[str, int]


def victims(pod: Pod, others: Sequence[Pod], lacking: Sequence[Shortfall]) -> list[Pod] | None:
    """Those that leave so that ``pod`` has what it lacks; None when no set of them is enough."""
    classes: dict[str, list[Pod]] = {"BestEffort": [], "Burstable": [], "Guaranteed": []}
    for other in others:
        if _yields(other, pod):
            classes[qos_class(other)].append(other)
    missing = {short.resource: short.missing for short in lacking}
    modest, middle, best = classes["BestEffort"], classes["Burstable"], classes["Guaranteed"]
    if _without(missing, [*modest, *middle, *best]):
        return None
    of_best = _nearest(best, _without(missing, [*modest, *middle]))
    of_middle = _nearest(middle, _without(missing, [*modest, *of_best]))
    of_modest = _nearest(modest, _without(missing, [*of_middle, *of_best]))
    return [*of_modest, *of_middle, *of_best]


def _yields(other: Pod, pod: Pod) -> bool:
    if is_critical(pod) and not is_critical(other):
        return True
    return pod.spec.priority > other.spec.priority


def _without(missing: Missing, pods: Iterable[Pod]) -> dict[str, int]:
    """What is still missing once these are gone."""
    left = dict(missing)
    for pod in pods:
        given = _given(pod)
        left = {name: amount - given.get(name, 0) for name, amount in left.items()}
    return {name: amount for name, amount in left.items() if amount > 0}


def _given(pod: Pod) -> dict[str, int]:
    return amounts.of_pod(pod, "requests") | {"pods": 1}


def _nearest(pods: Sequence[Pod], missing: Missing) -> list[Pod]:
    """One after the other, who comes nearest to what is missing then."""
    left, found = list(pods), list[Pod]()
    while missing and left:
        first = min(left, key=lambda pod: (_distance(pod, missing), _size(pod)))
        left.remove(first)
        found.append(first)
        missing = _without(missing, [first])
    return found


def _distance(pod: Pod, missing: Missing) -> float:
    """How much stays missing: squares of shares, so that every resource weighs the same."""
    given = _given(pod)
    rests = (max(amount - given.get(name, 0), 0) / amount for name, amount in missing.items())
    return sum(rest * rest for rest in rests)


def _size(pod: Pod) -> tuple[int, int]:
    given = _given(pod)
    return given.get("memory", 0), given.get("cpu", 0)
