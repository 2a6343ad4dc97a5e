"""One pod's worker: look, decide, act, tell; again when something may have changed.

::

    wake (API, runtime, probe, time) ─▶ observe ─▶ lifecycle.plan ─▶ acts ─┐
              ▲                            └─▶ status.render ─▶ API        │
              └────────────────────────────────────────────────────────────┘

Nothing it knows is needed to go on after a crash: the next worker reads it all from the runtime.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container, Iterable
from functools import partial
from typing import Any

import msgspec

from pilothouse.services.kubelet.devices import telling
from pilothouse.services.kubelet.eviction.values import Eviction, ended, told
from pilothouse.services.kubelet.parts import Parts, reference
from pilothouse.services.kubelet.pod import lifecycle, status
from pilothouse.services.kubelet.pod.ending import Leaving
from pilothouse.services.kubelet.pod.memory import Memory
from pilothouse.services.kubelet.pod.observed import Known, Observed
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources import resizing
from pilothouse.services.kubelet.resources.admission import Rejection
from pilothouse.services.kubelet.resources.resizing import Verdict
from pilothouse.services.kubelet.workers.performer import Performer
from pilothouse.services.kubelet.workers.prober import Prober
from pilothouse.services.kubelet.workers.status_writer import StatusWriter
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime import telemetry

EXIT_LOOKS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Waits between looks after an exit was told and before the runtime admits it."""
REJECTED = ("phase", "reason", "message", "startTime", "qosClass", "observedGeneration")
"""What is told of a pod that is not to start."""
RETRY_FIRST_SECONDS = 0.5
RETRY_MAX_SECONDS = 4.0


class PodWorker:
    """Makes the runtime run ``pod``; ends when nothing of it is left."""

    def __init__(
        self,
        parts: Parts,
        pod: Pod,
        strays: Container[str] = (),
        *,
        in_api: bool = True,
        neighbours: Callable[[], Iterable[Pod]] = tuple,
    ) -> None:
        """``strays``: ids that the runtime said ended before anybody had seen them.

        ``neighbours``: the pods that count on this node's resources.
        """
        self._neighbours = neighbours
        self._parts = parts
        self.pod = pod
        self.observed = Observed()
        self.status: dict[str, Any] = pod.status
        self._leaving: Leaving | None = None
        self._in_api = in_api
        self._memory = Memory(parts.restart_wait_max)
        self._wake = asyncio.Event()
        self._strays = strays
        self._rejected: dict[str, Any] = {}
        self._doubts: list[Callable[[PodWorker], Awaitable[None]]] = []
        self._eviction: Eviction | None = None
        self._cleared = False
        self._exited: set[str] = set()
        self._writer = StatusWriter(parts)
        self._performer = Performer(parts, self._memory, self.wake)
        self._prober = Prober(parts, self._memory, self.wake)
        self._log = telemetry.logger(pod=str(pod.metadata.key))

    @property
    def phase(self) -> str:
        """As it was told last."""
        return str(self.status.get("phase") or "Pending")

    @property
    def known(self) -> Known:
        """What is remembered of the pod beside what is observed."""
        return self._memory.known()

    @property
    def is_expected(self) -> bool:
        """Whether the pod is meant to be here, and has not ended."""
        return self._in_api and not self._cleared and self.phase not in lifecycle.TERMINAL

    def reject(self, rejection: Rejection) -> None:
        """The pod is not to start: it has failed."""
        told = {"reason": rejection.reason, "message": rejection.message}
        self._rejected = {"phase": "Failed", **told}
        self.status = self.status | self._rejected
        about = reference(self.pod)
        self._parts.notes.note(about, "Warning", rejection.reason, rejection.message)

    def doubt(self, settle: Callable[["PodWorker"], Awaitable[None]]) -> None:
        """Nothing is done for the pod before ``settle`` has found whether it is to start."""
        self._doubts.append(settle)

    def evict(self, eviction: Eviction) -> None:
        """End the pod; it has failed once its containers have ended. The first word counts."""
        if self._eviction is None:
            self._eviction = eviction
            if self._parts.meters is not None and eviction.signal:
                self._parts.meters.evictions.add(eviction.signal)
            note = self._parts.notes.note
            note(reference(self.pod), "Warning", eviction.reason, eviction.message)
            self.wake()

    @property
    def is_evicted(self) -> bool:
        """Whether it was told to end."""
        return self._eviction is not None

    def wake(self) -> None:
        """Something may have changed."""
        self._wake.set()

    def update(self, pod: Pod) -> None:
        """The pod's object has changed."""
        self.pod = pod
        self._writer.refresh()
        if pod.metadata.deleting:
            grace = pod.metadata.deletion_grace_period_seconds
            default = pod.spec.termination_grace_period_seconds
            self._leaving = Leaving(float(default if grace is None else grace))
        self.wake()

    def vanish(self, grace_seconds: float) -> None:
        """The pod is no longer meant for this node, and nobody waits for its status."""
        self._in_api = False
        self._leaving = Leaving(grace_seconds)
        self.wake()

    def exited(self, id_: str) -> bool:
        """The runtime says that this container or sandbox has ended; whether it is of this pod."""
        sandboxes = (item.id for item in self.observed.sandboxes)
        containers = (item.id for item in self.observed.containers)
        if id_ not in {*sandboxes, *containers}:
            return False
        self._exited.add(id_)
        self.wake()
        return True

    async def run(self) -> None:
        """Until nothing of the pod is left on this node."""
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(self._writer.run())
            wait = RETRY_FIRST_SECONDS
            while True:
                self._wake.clear()
                began = self._parts.clock.monotonic()
                try:
                    again_at = await self._look(group)
                    self._count(self._parts.clock.monotonic() - began)
                    if again_at is None:
                        break
                    wait = RETRY_FIRST_SECONDS
                except ApiError as error:
                    self._log.info("again later", error=error.message, seconds=wait)
                    again_at = self._parts.clock.now() + wait
                    wait = min(wait * 2, RETRY_MAX_SECONDS)
                await self._wait(again_at)
            self._prober.stop()
            writing.cancel()

    def _count(self, seconds: float) -> None:
        """One turn took so long."""
        if self._parts.meters is not None:
            kind = "sync" if self._leaving is None else "kill"
            self._parts.meters.worker_seconds.observe(seconds, kind)

    async def _wait(self, until: float) -> None:
        left = max(until - self._parts.clock.now(), 0.0)
        try:
            async with asyncio.timeout(None if left == float("inf") else left):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _look(self, group: asyncio.TaskGroup) -> float | None:
        """One turn; when to look again (infinity: when woken), None when all is over."""
        while self._doubts:
            await self._doubts[0](self)
            self._doubts.pop(0)
        observed = await self._observe()
        now = self._parts.clock.now()
        pod = msgspec.structs.replace(self.pod, status=self._writer.newest(self.pod))
        self._memory.adopt(pod, observed)
        self._memory.verdict = self._judge(pod, observed)
        known = self._memory.known()
        judged = msgspec.structs.replace(pod, status=pod.status | self._rejected)
        if self._eviction is not None:
            judged = ended(pod, self._eviction)
        plan = lifecycle.plan(judged, observed, known, now, self._leaving)
        self._tell(judged, observed, known, now)
        if self._eviction is not None:
            self.status = told(self.status, pod, self._eviction, observed, now)
        if self._in_api:
            is_passing = bool(plan.acts) and self._leaving is None
            self._writer.offer(self.pod, self.status, is_passing=is_passing)
        if plan.ended:
            await self._end(pod, observed)
            return None
        if self._leaving is None:
            self._prober.follow(group, pod, observed)
        else:
            self._prober.ease(observed)
        self._performer.tell(pod, plan.backing_off)
        acted = await self._performer.perform(group, pod, observed, plan.acts)
        if acted:
            return now
        dues = [plan.again_at, self._performer.refresh_at]
        return min((due for due in dues if due is not None), default=float("inf"))

    def _tell(self, judged: Pod, observed: Observed, known: Known, now: float) -> None:
        """Say how it is, to whoever asks."""
        place = status.Place(self._parts.node.around.host_ip)
        self.status = status.render(judged, observed, known, place, now)
        if self._rejected:
            # Nothing of it was ever here: there is no more to tell than why.
            kept = {name: self.status[name] for name in REJECTED if name in self.status}
            self.status = kept | {"conditions": []}
        if self._parts.devices.has(judged.uid):
            health = partial(self._parts.devices.health, judged.uid)
            self.status = telling.tell(self.status, health)

    def _judge(self, pod: Pod, observed: Observed) -> Verdict:
        """Whether the node can give what is asked for anew; asked only then."""
        if not resizing.is_wanted(pod, observed, self._memory.resources):
            return resizing.GRANTED
        allocatable = self._parts.node.around.allocatable or {}
        others = [other for other in self._neighbours() if other.uid != pod.uid]
        if self._parts.processors.is_fixed(pod):
            return resizing.FIXED
        return resizing.judge(pod, allocatable, others)

    async def _observe(self) -> Observed:
        """What is; where an exit was told, not before the runtime admits it (or a second)."""
        observed = Observed()
        for wait in EXIT_LOOKS:
            await self._parts.clock.sleep(wait)
            observed = await self._parts.runtime.observe(self.pod.uid)
            alive = {item.id for item in observed.alive()}
            alive |= {item.id for item in observed.sandboxes if item.ready}
            self._exited |= {id_ for id_ in alive if id_ in self._strays}
            if not self._exited & alive:
                break
        self._exited.clear()
        self._memory.settle(observed)
        self.observed = observed
        return observed

    async def _end(self, pod: Pod, observed: Observed) -> None:
        """Tell how it ended, clear the node of it, let its object go."""
        if self._in_api:
            await self._writer.wait_written()
        await self._performer.clear(pod, observed)
        self._cleared = True
        if self._in_api:
            await self._parts.cluster.remove(pod)
        self._parts.runtime.forget(observed)
