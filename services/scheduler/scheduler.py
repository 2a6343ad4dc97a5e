"""The scheduler as a value that changes: what it saw, who waits, what it assumed. Waits on nothing.

A pod that was given a node counts on it at once (it is *assumed*), long before the API server has
said yes; what is seen of the pod until then changes nothing, and a failed bind takes it back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.volumes import Claim
from pilothouse.services.machinery.objects import Key, Metadata
from pilothouse.services.scheduler import cycle, volumechoice
from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.cycle import Decision, Verdict
from pilothouse.services.scheduler.framework import Profile
from pilothouse.services.scheduler.nodetable import NodeTable
from pilothouse.services.scheduler.preparing import Preparing
from pilothouse.services.scheduler.profile import DEFAULT
from pilothouse.services.scheduler.queue import Change, Place, Queue
from pilothouse.services.scheduler.stored import Stored
from pilothouse.services.scheduler.volumechoice import Preparation


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was decided for a pod; ``news`` is false where it was refused in the same words.

    With a ``preparation`` that is to be written first; when it has come true it is decided again.
    """

    pod: Candidate
    decision: Decision
    news: bool = True
    preparation: Preparation | None = None


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """What every plugin says of one node."""

    node: str
    fits: bool
    score: float
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a pod is where it is, or is nowhere; ``node`` is empty when none takes it."""

    node: str
    bound: bool
    summary: str
    nodes: tuple[NodeAnswer, ...]


class Undecided(Exception):
    """A rule failed on the pod ``key``, which waits for a while; no other has to."""

    def __init__(self, key: Key) -> None:
        super().__init__(str(key))
        self.key = key


class Scheduler:
    """``now`` is a monotonic count of seconds everywhere."""

    def __init__(self, profile: Profile = DEFAULT) -> None:
        self.table = NodeTable()
        self._profile = profile
        self._queue = Queue()
        self._waiting: dict[Key, Candidate] = {}
        self._assumed: dict[Key, str] = {}
        self._told: dict[Key, str] = {}
        self._last_row = -1
        self._preparing: Preparing[Outcome] = Preparing()
        self.stored = Stored(self.table.volumes, self._queue, self._claim_seen)

    def put_node(self, node: Node, now: float) -> None:
        """A node is there, or changed."""
        if self.table.put_node(node):
            self._queue.move(Change.NODE, now)

    def drop_node(self, name: str, now: float) -> None:
        """A node is gone; with it may go what kept a pod from a topology domain."""
        if name in self.table.rows:
            self.table.drop_node(name)
            self._queue.move(Change.NODE, now)

    def put_namespace(self, name: str, labels: Mapping[str, str] | None, now: float) -> None:
        """A namespace has these labels; None: it is gone."""
        self.table.put_namespace(name, labels)
        self._queue.move(Change.POD_PLACED, now)

    def put_waiting(self, pod: Candidate) -> None:
        """A pod of ours waits for a node."""
        if self._assumed.get(pod.key) == pod.uid:
            return
        before = self._waiting.get(pod.key)
        if before is None or before.uid != pod.uid:
            self._forget(pod.key)
            self.table.remove(pod.key)
        self._waiting[pod.key] = pod
        if pod.claims:
            self.stored.want(pod)
        self._queue.add(pod.key, pod.priority)

    def confirm(self, pod: Metadata, node: str) -> bool:
        """Whether a pod that was seen to have a node is just as it was assumed to be."""
        placed = self.table.placed(pod.key)
        if placed is None or self._assumed.get(pod.key) != pod.uid:
            return False
        if placed[1] != node or placed[0].labels != pod.labels or pod.deleting:
            return False
        self._forget(pod.key)
        return True

    def put_placed(self, pod: Candidate, now: float) -> None:
        """A pod has a node, whoever gave it."""
        before = self.table.placed(pod.key)
        self._forget(pod.key)
        self.table.place(pod, pod.node_name)
        self._queue.move(Change.POD_PLACED, now)
        if before is not None:
            # It may hold less than before, or no longer count where it did.
            self._queue.move(Change.POD_GONE, now)

    def drop_pod(self, key: Key, now: float) -> None:
        """The pod is gone, has ended, or is not for us to place."""
        self._forget(key)
        if self.table.remove(key):
            self._queue.move(Change.POD_GONE, now)

    def _claim_seen(self, claim: Claim, now: float) -> None:
        for outcome in self._preparing.seen(claim):
            self.bind_failed(outcome.pod, now)

    def decide(self, now: float) -> Outcome | None:
        """The next decision, already counted in; None while nobody is ready. Undecided."""
        if self._preparing:
            for late in self._preparing.overdue(now):
                self.bind_failed(late.pod, now)
        prepared = self._preparing.pop()
        if prepared is not None:
            return Outcome(prepared.pod, prepared.decision)
        key = self._queue.pop(now)
        if key is None:
            return None
        pod = self._waiting[key]
        try:
            decision = cycle.schedule(pod, self.table, self._profile, self._last_row)
        except Exception as error:
            self._queue.failed(key, now)
            raise Undecided(key) from error
        if decision.refusals is None:
            self._last_row = decision.row
            self._assumed[key] = pod.uid
            self._told.pop(key, None)
            outcome = Outcome(pod, decision)
            if pod.claims:
                outcome = self._prepare(outcome, now)
            self.table.place(pod, decision.node)
            if self._queue.unschedulable:
                self._queue.move(Change.POD_PLACED, now)
            return outcome
        self._queue.refused(key, decision.refusals.plugins, now)
        sentence = decision.refusals.sentence()
        news = self._told.get(key) != sentence
        self._told[key] = sentence
        return Outcome(pod, decision, news)

    def _prepare(self, outcome: Outcome, now: float) -> Outcome:
        pod, volumes = outcome.pod, self.table.volumes
        todo = volumechoice.prepare(pod, self.table, outcome.decision.row)
        if todo is None:
            return outcome
        for _, volume in todo.reserve:
            volumes.promise(volume.metadata.name, pod.key)
        claims = (*(claim for claim, _ in todo.reserve), *todo.select)
        self._preparing.add(pod.key, outcome, (item.metadata.key for item in claims), now)
        return replace(outcome, preparation=todo)

    def bind_failed(self, pod: Candidate, now: float) -> None:
        """The API server did not take the binding: the pod waits again."""
        if self._assumed.get(pod.key) != pod.uid:
            return
        if pod.claims:
            self._preparing.drop(pod.key)
            self.table.volumes.release(pod.key)
        del self._assumed[pod.key]
        self.table.remove(pod.key)
        self._queue.failed(pod.key, now)
        self._queue.move(Change.POD_GONE, now)

    def next_due(self) -> float | None:
        """When to decide again if nothing happens before."""
        queued, prepared = self._queue.next_due(), self._preparing.next_due()
        return queued if prepared is None else min(prepared, queued or prepared)

    def pending(self) -> dict[Place, int]:
        """How many pods wait in each part of the queue."""
        return self._queue.counts()

    def explain(self, pod: Candidate) -> Explanation:
        """What every plugin says of the pod on every node, as if it had none yet."""
        placed = self.table.placed(pod.key)
        bound = pod.node_name
        if placed is not None:
            self.table.remove(pod.key)
        if bound:
            pod = msgspec.structs.replace(pod, node_name="")
        decision = cycle.schedule(pod, self.table, self._profile, self._last_row)
        answers = cycle.verdicts(pod, self.table, self._profile)
        if placed is not None:
            self.table.place(*placed)
        nodes = tuple(
            _answer(name, verdicts)
            for name, verdicts in zip(self.table.names, answers, strict=True)
        )
        fitting = sum(node.fits for node in nodes)
        summary = (
            f"{fitting}/{len(nodes)} nodes are available."
            if decision.refusals is None
            else decision.refusals.sentence()
        )
        return Explanation(bound or decision.node, bool(bound), summary, nodes)

    def _forget(self, key: Key) -> None:
        self._assumed.pop(key, None)
        self._told.pop(key, None)
        pod = self._waiting.pop(key, None)
        if pod is None:
            return
        self._queue.remove(key)
        if pod.claims:
            self._preparing.drop(key)
            self.table.volumes.release(key)
            self.stored.unwant(pod)


def _answer(node: str, verdicts: list[Verdict]) -> NodeAnswer:
    return NodeAnswer(
        node,
        fits=not any(verdict.reason for verdict in verdicts),
        score=sum(verdict.score for verdict in verdicts),
        verdicts=tuple(verdicts),
    )
