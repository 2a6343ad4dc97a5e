"""Which pods of a StatefulSet come and go next.

One pod after the other, in the order of their numbers, each only when those before it serve; with
``podManagementPolicy: Parallel`` all that are due at once. Outdated pods go from the highest
number down, none below the partition, and none that serves while ``maxUnavailable`` are away.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from pilothouse.services.machinery.kinds import pods, statefulsets
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.revisions import POD_HASH
from pilothouse.services.machinery.kinds.statefulsets import StatefulSet

BURST_MAX = 500
PERCENT = 100


@dataclass(frozen=True, slots=True)
class Step:
    """Ordinals of pods to create, and pods to delete; ``ended`` are among them."""

    create: tuple[int, ...] = ()
    delete: tuple[Pod, ...] = ()
    ended: tuple[Pod, ...] = ()


@dataclass(frozen=True, slots=True)
class Members:
    """``slots`` has the pod of each wanted ordinal, or None; ``condemned`` the highest first."""

    slots: tuple[tuple[int, Pod | None], ...]
    condemned: tuple[Pod, ...]


def members(stateful: StatefulSet, owned: tuple[Pod, ...]) -> Members:
    """Sort pods into those that shall be and those that shall not."""
    wanted: dict[int, Pod] = {}
    others: list[tuple[int, Pod]] = []
    for pod in owned:
        ordinal = statefulsets.ordinal_of(stateful, pod.metadata.name)
        if ordinal is None:
            continue
        if statefulsets.is_in_range(stateful, ordinal):
            wanted[ordinal] = pod
        else:
            others.append((ordinal, pod))
    first = statefulsets.start(stateful)
    slots = tuple((at, wanted.get(at)) for at in range(first, first + stateful.spec.replicas))
    others.sort(key=lambda item: item[0], reverse=True)
    return Members(slots, tuple(pod for _, pod in others))


def is_ready(pod: Pod) -> bool:
    return pod.status.phase == "Running" and pods.is_ready(pod)


def is_available(stateful: StatefulSet, pod: Pod, now: float) -> bool:
    """Whether it runs and has been ready for ``minReadySeconds``."""
    return is_ready(pod) and pods.available_in(pod, stateful.spec.min_ready_seconds, now) == 0


class Walk:
    """A look at the members at one moment."""

    def __init__(
        self,
        stateful: StatefulSet,
        found: Members,
        update: str,
        held: Mapping[str, float],
        now: float,
    ) -> None:
        """``held`` says for how many seconds more an ended pod is left where it is, by name."""
        self._stateful = stateful
        self._found = found
        self._update = update
        self._held = held
        self._now = now
        self._ordered = stateful.spec.pod_management_policy != "Parallel"

    def next(self, blocked: Set[int]) -> Step:
        """``blocked``: ordinals whose pods can not be made now, since their claims are going."""
        create, delete, halted = self._fill(blocked)
        ended = tuple(delete)
        if halted:
            return Step(tuple(create), ended, ended)
        gone, halted = self._shrink()
        delete += gone
        if not halted and self._stateful.spec.update_strategy.type != "OnDelete":
            delete += self._outdated(skip={pod.metadata.uid for pod in delete})
        return Step(tuple(create[:BURST_MAX]), tuple(delete[:BURST_MAX]), ended)

    def _serves(self, pod: Pod) -> bool:
        return is_available(self._stateful, pod, self._now) and not pod.metadata.deleting

    def _is_new(self, pod: Pod) -> bool:
        return pod.metadata.labels.get(POD_HASH) == self._update

    def _fill(self, blocked: Set[int]) -> tuple[list[int], list[Pod], bool]:
        """What is missing or has ended; True when all else must wait for it."""
        create: list[int] = []
        delete: list[Pod] = []
        for ordinal, pod in self._found.slots:
            if pod is None:
                if ordinal not in blocked:
                    create.append(ordinal)
            elif pods.is_terminal(pod):
                if not pod.metadata.deleting and pod.metadata.name not in self._held:
                    delete.append(pod)
            elif self._serves(pod):
                continue
            if self._ordered:
                return create, delete, True
        return create, delete, False

    def _shrink(self) -> tuple[list[Pod], bool]:
        """Pods beyond the wanted number; in order, one that does not serve halts the others."""
        first = self._first_not_serving()
        gone: list[Pod] = []
        for pod in self._found.condemned:
            if pod.metadata.deleting:
                if self._ordered:
                    return gone, True
                continue
            # One that has ended is not waited for: it will never serve again.
            hopeful = not (self._serves(pod) or pods.is_terminal(pod))
            if self._ordered and hopeful and pod is not first:
                return gone, True
            gone.append(pod)
            if self._ordered:
                return gone, True
        return gone, False

    def _first_not_serving(self) -> Pod | None:
        for _, slot in self._found.slots:
            if slot is None or not self._serves(slot):
                return slot
        lowest_first = reversed(self._found.condemned)
        return next((pod for pod in lowest_first if not self._serves(pod)), None)

    def _outdated(self, skip: Set[str]) -> list[Pod]:
        """Those to replace now, the highest first; whatever does not serve counts as away.

        In parallel an outdated pod that does not serve is not waited for: it may never serve.
        """
        rolling = self._stateful.spec.update_strategy.rolling_update
        partition = rolling.partition if rolling is not None else 0
        slots = self._found.slots
        away = sum(pod is None or not self._serves(pod) for _, pod in slots)
        spare = max(max_unavailable(self._stateful) - away, 0)
        due = [
            pod
            for _, pod in reversed(slots[partition:])
            if pod is not None
            and not (self._is_new(pod) or pod.metadata.deleting or pod.metadata.uid in skip)
        ]
        if self._ordered:
            return due[:spare]
        idle = [pod for pod in due if not self._serves(pod)]
        return [*idle, *[pod for pod in due if self._serves(pod)][:spare]]


def max_unavailable(stateful: StatefulSet) -> int:
    """At least one; a percentage of the replicas is rounded down."""
    rolling = stateful.spec.update_strategy.rolling_update
    told = rolling.max_unavailable if rolling is not None else None
    if isinstance(told, str) and told.endswith("%"):
        told = floor(Fraction(int(told[:-1]) * stateful.spec.replicas, PERCENT))
    return max(int(told) if told is not None else 1, 1)


def is_of_current(stateful: StatefulSet, ordinal: int) -> bool:
    """Whether a new pod of this number is made from the revision before the update."""
    strategy = stateful.spec.update_strategy
    if strategy.type != "RollingUpdate":
        return False
    first = statefulsets.start(stateful)
    if strategy.rolling_update is None:
        return ordinal < first + stateful.status.current_replicas
    return ordinal < first + strategy.rolling_update.partition
