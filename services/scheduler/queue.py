"""Pods that wait for a node: ready now, backing off, or waiting for the cluster to change.

::

    add ──▶ active ──pop──▶ (decided) ──refused──▶ unschedulable
              ▲ ▲                └──failed──▶ backoff      │ move: something changed that
              │ └──────────────due────────────┘  ▲         │ may help against the plugin
              └───────────────────────────────────┴────────┘ that refused

Order: higher priority first, then who came first. A change of a node sends its pods back at once;
frequent changes (pods come and go) honour the backoff, so that many hopeless pods stay cheap.
"""

import heapq
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from pilothouse.services.machinery.objects import Key

BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_MAX_SECONDS = 10.0
DOUBLINGS_MAX = 10

Place = Literal["active", "backoff", "unschedulable", "deciding"]


class Change(Enum):
    """What may help a pod that was refused."""

    NODE = "node"
    POD_GONE = "pod gone"
    POD_PLACED = "pod placed"
    VOLUME = "volume"


# By the plugins that refused; a change of a node may help against any of them.
_HELPED_BY = {
    Change.POD_GONE: frozenset(
        {
            "NodeResourcesFit",
            "NodePorts",
            "InterPodAffinity",
            "PodTopologySpread",
            "VolumeRestrictions",
        }
    ),
    Change.VOLUME: frozenset({"VolumeBinding", "VolumeRestrictions", "VolumeZone"}),
    Change.POD_PLACED: frozenset({"InterPodAffinity", "PodTopologySpread"}),
}


@dataclass(slots=True)
class Waiting:
    """A pod in the queue; ``turn`` tells who came first."""

    key: Key
    priority: int
    turn: int
    place: Place = "active"
    tries: int = 0
    ready_at: float = 0.0
    refused_by: frozenset[str] = field(default_factory=frozenset)


class Queue:
    """Knows no clock: ``now`` is a monotonic count of seconds."""

    def __init__(self) -> None:
        self._pods: dict[Key, Waiting] = {}
        self._active: list[tuple[int, int, Key]] = []
        self._backoff: list[tuple[float, int, Key]] = []
        self._unschedulable: dict[Key, None] = {}
        self._turns = 0

    @property
    def unschedulable(self) -> int:
        """How many pods wait for a change."""
        return len(self._unschedulable)

    def add(self, key: Key, priority: int) -> None:
        """A pod without a node came, or changed: decide on it as soon as possible."""
        before = self._pods.get(key)
        if before is not None:
            before.priority = priority
            if before.place != "deciding":
                self._activate(before)
            return
        self._turns += 1
        waiting = self._pods[key] = Waiting(key, priority, self._turns)
        self._activate(waiting)

    def remove(self, key: Key) -> None:
        """The pod has a node, or is gone."""
        self._pods.pop(key, None)
        self._unschedulable.pop(key, None)

    def pop(self, now: float) -> Key | None:
        """The pod to decide on next; None while nobody is ready."""
        while self._backoff and self._backoff[0][0] <= now:
            ready_at, _, key = heapq.heappop(self._backoff)
            waiting = self._pods.get(key)
            if waiting is not None and waiting.place == "backoff" and waiting.ready_at == ready_at:
                self._activate(waiting)
        while self._active:
            priority, turn, key = heapq.heappop(self._active)
            waiting = self._pods.get(key)
            if (
                waiting is not None
                and waiting.place == "active"
                and (-waiting.priority, waiting.turn) == (priority, turn)
            ):
                waiting.place = "deciding"
                return key
        return None

    def refused(self, key: Key, plugins: frozenset[str], now: float) -> None:
        """No node takes it: wait for a change that may help."""
        waiting = self._tried(key, now)
        if waiting is not None:
            waiting.refused_by = plugins
            waiting.place = "unschedulable"
            self._unschedulable[key] = None

    def failed(self, key: Key, now: float) -> None:
        """It had a node and could not be bound: try again after a while."""
        waiting = self._tried(key, now)
        if waiting is not None:
            self._back_off(waiting)

    def move(self, change: Change, now: float) -> None:
        """Something changed: those whom it may help come back."""
        for key in list(self._unschedulable):
            waiting = self._pods[key]
            if change in _HELPED_BY and not _HELPED_BY[change] & waiting.refused_by:
                continue
            if change is Change.NODE or waiting.ready_at <= now:
                self._activate(waiting)
            else:
                del self._unschedulable[key]
                self._back_off(waiting)

    def next_due(self) -> float | None:
        """When the first backoff ends; None when nobody backs off."""
        return self._backoff[0][0] if self._backoff else None

    def counts(self) -> dict[Place, int]:
        """How many pods wait in each place."""
        places: dict[Place, int] = {"active": 0, "backoff": 0, "unschedulable": 0, "deciding": 0}
        for waiting in self._pods.values():
            places[waiting.place] += 1
        return places

    def _tried(self, key: Key, now: float) -> Waiting | None:
        waiting = self._pods.get(key)
        if waiting is None or waiting.place != "deciding":
            return None
        doublings = min(waiting.tries, DOUBLINGS_MAX)
        waiting.tries += 1
        waiting.ready_at = now + min(BACKOFF_FIRST_SECONDS * 2**doublings, BACKOFF_MAX_SECONDS)
        return waiting

    def _activate(self, waiting: Waiting) -> None:
        self._unschedulable.pop(waiting.key, None)
        waiting.place = "active"
        heapq.heappush(self._active, (-waiting.priority, waiting.turn, waiting.key))

    def _back_off(self, waiting: Waiting) -> None:
        waiting.place = "backoff"
        heapq.heappush(self._backoff, (waiting.ready_at, waiting.turn, waiting.key))
