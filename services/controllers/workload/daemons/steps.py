"""Which pods of a DaemonSet come and go next.

First every node gets what it lacks and loses what it must not have. Only when nothing of that is
left, outdated pods are replaced: without surge they are deleted, never so many that more than
``maxUnavailable`` nodes go without; with surge new pods start beside the old ones, on no more than
``maxSurge`` nodes at a time, and an old pod goes when the new one serves.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from pilothouse.services.controllers.workload.daemons.placing import Place, Places
from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.daemonsets import DaemonSet
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.revisions import POD_HASH

BURST_MAX = 250
PERCENT = 100


@dataclass(frozen=True, slots=True)
class Step:
    """Nodes to start a pod for, and pods to delete; ``ended`` are among them, by node."""

    create: tuple[str, ...] = ()
    delete: tuple[Pod, ...] = ()
    ended: tuple[tuple[str, Pod], ...] = ()
    again_after: float | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """Nodes that may be without a serving pod, and nodes that may have two."""

    unavailable: int
    surge: int


def bounds(daemonset: DaemonSet, wanted: int) -> Bounds:
    """Percentages of the wanted nodes are rounded up; if both are none, one may be missing."""
    rolling = daemonset.spec.update_strategy.rolling_update
    if daemonset.spec.update_strategy.type != "RollingUpdate" or rolling is None:
        return Bounds(0, 0)
    unavailable = _share(rolling.max_unavailable, wanted)
    surge = _share(rolling.max_surge, wanted)
    if not unavailable and not surge and wanted:
        unavailable = 1
    return Bounds(unavailable, surge)


def _share(amount: int | str | None, of: int) -> int:
    if isinstance(amount, str) and amount.endswith("%"):
        return ceil(Fraction(int(amount[:-1]) * of, PERCENT))
    return int(amount or 0)


class Look:
    """The places at one moment; ``marks`` are hashes of the present template."""

    def __init__(
        self,
        daemonset: DaemonSet,
        places: Places,
        marks: Set[str],
        held: Mapping[str, float],
        now: float,
    ) -> None:
        """``held`` says for how many seconds more a node's failed pod is left where it is."""
        self._daemonset = daemonset
        self._places = places
        self._marks = marks
        self._held = held
        self._now = now
        wanted = sum(place.wanted for place in places.nodes)
        self._wanted = wanted
        self._bounds = bounds(daemonset, wanted)

    def next(self) -> Step:
        """What to do now."""
        create: list[str] = []
        delete: list[Pod] = list(self._places.lost)
        ended: list[tuple[str, Pod]] = []
        for place in self._places.nodes:
            if place.wanted and not place.pods:
                create.append(place.node)
            elif place.may_stay:
                self._tidy(place, create, delete, ended)
            else:
                delete += [pod for pod in place.pods if not pod.metadata.deleting]
        waiting = self._waiting()
        if not create and not delete and self._daemonset.spec.update_strategy.type != "OnDelete":
            create, delete = self._surge() if self._bounds.surge else self._replace()
        return Step(tuple(create[:BURST_MAX]), tuple(delete[:BURST_MAX]), tuple(ended), waiting)

    def _waiting(self) -> float | None:
        ended = (
            self._held[place.node]
            for place in self._places.nodes
            if self._held.get(place.node, 0) > 0
            and any(pod.status.phase == "Failed" for pod in place.pods)
        )
        return min(ended, default=None)

    def _tidy(
        self, place: Place, create: list[str], delete: list[Pod], ended: list[tuple[str, Pod]]
    ) -> None:
        running: list[Pod] = []
        for pod in place.pods:
            if pod.metadata.deleting:
                continue
            if not pods.is_terminal(pod):
                running.append(pod)
            elif pod.status.phase == "Succeeded" or self._held.get(place.node, 0) <= 0:
                ended.append((place.node, pod))
                delete.append(pod)
        if not self._bounds.surge:
            delete += running[1:]
        elif not running and place.wanted:
            create.append(place.node)
        else:
            delete += self._beyond_two(running)

    def _beyond_two(self, running: list[Pod]) -> list[Pod]:
        """With surge, an old pod that is ready may stay beside a new one that does not serve."""
        new = [pod for pod in running if self._is_new(pod)]
        old = [pod for pod in running if not self._is_new(pod)]
        excess = [*new[1:], *old[1:]]
        if new and old and (not pods.is_ready(old[0]) or self._serves(new[0])):
            excess.append(old[0])
        return excess

    def _is_new(self, pod: Pod) -> bool:
        return pod.metadata.labels.get(POD_HASH) in self._marks

    def _serves(self, pod: Pod | None) -> bool:
        least = self._daemonset.spec.min_ready_seconds
        return pod is not None and pods.available_in(pod, least, self._now) == 0

    def _both(self, place: Place) -> tuple[Pod | None, Pod | None, bool]:
        """The new and the old pod of a node; False when it has more than one of either."""
        staying = [pod for pod in place.pods if not pod.metadata.deleting]
        new = [pod for pod in staying if self._is_new(pod)]
        old = [pod for pod in staying if not self._is_new(pod)]
        plain = len(new) <= 1 and len(old) <= 1
        return (new[0] if new else None), (old[0] if old else None), plain

    def _replace(self) -> tuple[list[str], list[Pod]]:
        """Old pods that do not serve go at once, serving ones as far as may be spared."""
        unavailable = 0
        idle: list[Pod] = []
        serving: list[Pod] = []
        for place in self._places.nodes:
            if not place.wanted and not place.pods:
                continue
            new, old, plain = self._both(place)
            if plain and new is None and old is not None:
                if self._serves(old):
                    serving.append(old)
                    continue
                idle.append(old)
            elif plain and old is None and self._serves(new):
                continue
            unavailable += 1
        return [], [*idle, *serving[: max(self._bounds.unavailable - unavailable, 0)]]

    def _surge(self) -> tuple[list[str], list[Pod]]:
        """New pods start beside old ones, which go when the new ones serve."""
        starting = available = 0
        urgent: list[str] = []
        candidates: list[str] = []
        delete: list[Pod] = []
        misplaced: list[Pod] = []
        for place in self._places.nodes:
            new, old, plain = self._both(place)
            if not plain:
                starting += 1
                continue
            available += self._serves(old if old is not None else new)
            if old is None:
                continue
            if new is not None:
                if self._serves(new):
                    delete.append(old)
                else:
                    starting += 1
            elif place.wanted:
                (candidates if self._serves(old) else urgent).append(place.node)
            else:
                (misplaced if self._serves(old) else delete).append(old)
        delete += misplaced[: max(available - self._wanted, 0)]
        return [*urgent, *candidates[: max(self._bounds.surge - starting, 0)]], delete
