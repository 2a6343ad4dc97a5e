"""How many replicas the samples of a target's pods ask for; amounts are in thousandths.

Pods that just start say little, and those without a sample say nothing: they count as idle before
anything grows and as busy before anything shrinks, so that neither makes a move look larger.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pilothouse.services.machinery import conditions, quantity, timestamps
from pilothouse.services.machinery.kinds.pods import Pod, requests

_FULL_PERCENT = 100

Ratio = Callable[[Mapping[str, int]], float]
"""What samples are, as a part of what they should be."""


class Unanswered(Exception):
    """A metric does not say how many replicas there shall be; why, in upstream's words."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A pod's metric: over the ``window_seconds`` that ended ``at``."""

    milli: int
    at: float
    window_seconds: float = 0.0


Samples = Mapping[str, Sample]
"""By the names of pods."""


@dataclass(frozen=True, slots=True)
class Tolerances:
    """How far from its target a metric may be, as a part of it."""

    up: float = 0.1
    down: float = 0.1

    def allows(self, ratio: float) -> bool:
        """Whether nothing needs to change."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True)
class Periods:
    """For how long a pod is not taken at its word after its start, seconds."""

    cpu_initialization: float = 300.0
    initial_readiness: float = 30.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What is there: the target's pods, their samples, of which resource (empty: of none)."""

    pods: Sequence[Pod]
    samples: Samples
    resource: str
    now: float
    periods: Periods = Periods()


@dataclass(frozen=True, slots=True)
class Asked:
    """``replicas`` that the samples ask for; their mean, and as a percentage of what is wanted."""

    replicas: int
    average_milli: int
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class _Groups:
    counted: dict[str, int]
    ready: int
    unready: frozenset[str]
    missing: frozenset[str]


def by_average(measured: Measured, current: int, target: int, tolerances: Tolerances) -> Asked:
    """So many that each has ``target`` thousandths. Unanswered without pods or samples."""
    groups = _group(measured)

    def mean(amounts: Mapping[str, int]) -> int:
        return sum(amounts.values()) // len(amounts)

    average = mean(groups.counted)
    first = average / target
    absent: dict[str, int] = {}
    if first != 1.0:
        absent = dict.fromkeys(groups.missing, target if first < 1.0 else 0)
    shift = _Shift(tolerances, first, lambda amounts: mean(amounts) / target, absent)
    return Asked(_wanted(groups, shift, current), average)


def by_utilization(
    measured: Measured, current: int, percent: int, tolerances: Tolerances, container: str = ""
) -> Asked:
    """So many that each uses ``percent`` of what it requests, of one container or of all."""
    groups = _group(measured)
    asked = {
        pod.metadata.name: _requested(pod, measured.resource, container) for pod in measured.pods
    }

    def used(amounts: Mapping[str, int]) -> int:
        known = [name for name in amounts if name in asked]
        total = sum(asked[name] for name in known)
        if total == 0:
            raise Unanswered("no metrics returned matched known pods")
        return sum(amounts[name] for name in known) * _FULL_PERCENT // total

    utilization = used(groups.counted)
    first = utilization / percent
    full = max(_FULL_PERCENT, percent)
    absent: dict[str, int] = {}
    if first < 1.0:
        absent = {name: asked[name] * full // _FULL_PERCENT for name in groups.missing}
    elif first > 1.0:
        absent = dict.fromkeys(groups.missing, 0)
    shift = _Shift(tolerances, first, lambda amounts: used(amounts) / percent, absent)
    known = [name for name in groups.counted if name in asked]
    mean = sum(groups.counted[name] for name in known) // len(known)
    return Asked(_wanted(groups, shift, current), mean, utilization)


def ready_pods(pods: Sequence[Pod]) -> int:
    """Of those that run; Unanswered where there is no pod at all."""
    if not pods:
        raise Unanswered("no pods returned by selector while calculating replica count")
    return sum(
        pod.status.phase == "Running" and conditions.is_true(pod.status.conditions, "Ready")
        for pod in pods
    )


def ceiling(value: float) -> int:
    """Whole replicas, as many as an int32 holds."""
    return min(math.ceil(value), 2**31 - 1)


@dataclass(frozen=True, slots=True)
class _Shift:
    """``first`` is what the samples say; ``absent`` stands for those that are missing."""

    tolerances: Tolerances
    first: float
    ratio: Ratio
    absent: Mapping[str, int]


def _wanted(groups: _Groups, shift: _Shift, current: int) -> int:
    first = shift.first
    grows_unready = bool(groups.unready) and first > 1.0
    if not grows_unready and not groups.missing:
        return current if shift.tolerances.allows(first) else ceiling(first * groups.ready)
    amounts = {**groups.counted, **shift.absent}
    if grows_unready:
        amounts |= dict.fromkeys(groups.unready, 0)
    second = shift.ratio(amounts)
    if shift.tolerances.allows(second) or (first - 1.0) * (second - 1.0) < 0:
        return current
    wanted = ceiling(second * len(amounts))
    if (second < 1.0 and wanted > current) or (second > 1.0 and wanted < current):
        return current  # those that were thought up would turn it round
    return wanted


def _group(measured: Measured) -> _Groups:
    if not measured.pods:
        raise Unanswered("no pods returned by selector while calculating replica count")
    left = set[str]()
    unready = set[str]()
    missing = set[str]()
    ready = 0
    for pod in measured.pods:
        name = pod.metadata.name
        sample = measured.samples.get(name)
        if pod.metadata.deleting or pod.status.phase == "Failed":
            left.add(name)
        elif pod.status.phase == "Pending":
            unready.add(name)
        elif sample is None:
            missing.add(name)
        elif measured.resource == "cpu" and _is_starting(pod, sample, measured):
            unready.add(name)
        else:
            ready += 1
    out = left | unready
    counted = {name: item.milli for name, item in measured.samples.items() if name not in out}
    if not counted:
        raise Unanswered("did not receive metrics for targeted pods (pods might be unready)")
    return _Groups(counted, ready, frozenset(unready), frozenset(missing))


def _is_starting(pod: Pod, sample: Sample, measured: Measured) -> bool:
    """Whether its use of CPU may yet be that of its start."""
    ready = conditions.find(pod.status.conditions, "Ready")
    if ready is None or not pod.status.start_time:
        return True
    started = timestamps.parse(pod.status.start_time)
    since = timestamps.parse(ready.last_transition_time) if ready.last_transition_time else 0.0
    if started + measured.periods.cpu_initialization > measured.now:
        return ready.status == "False" or sample.at < since + sample.window_seconds
    return ready.status == "False" and started + measured.periods.initial_readiness > since


def _requested(pod: Pod, resource: str, container: str) -> int:
    spec = pod.spec
    if spec.resources.requests and not container:
        return _requested_by_pod(pod, resource)
    sidecars = [item for item in spec.init_containers if item.restart_policy == "Always"]
    total = 0
    for item in (*spec.containers, *sidecars):
        if container and item.name != container:
            continue
        amount = item.resources.requests.get(resource)
        if amount is None:
            raise Unanswered(
                f"missing request for {resource} in container {item.name} "
                f"of Pod {pod.metadata.name}"
            )
        total += quantity.milli(amount)
        if container:
            return total
    if container:
        raise Unanswered(f"container {container} not found in Pod {pod.metadata.name}")
    return total


def _requested_by_pod(pod: Pod, resource: str) -> int:
    """Of one that requests something for all its containers together."""
    own = pod.spec.resources.requests.get(resource)
    if own is not None:
        return quantity.milli(own) + quantity.milli(pod.spec.overhead.get(resource, 0))
    of_containers = requests(pod.spec).get(resource)
    if of_containers is None:
        raise Unanswered(f"missing pod-level request for {resource} in Pod {pod.metadata.name}")
    return of_containers if resource == "cpu" else of_containers * 1000
