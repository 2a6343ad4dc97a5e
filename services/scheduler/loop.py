"""The loop around the decisions: wakes when something changed, binds many pods at a time.

One task decides; a bounded queue hands what was decided to the binders. When binds are slow that
queue fills and deciding waits, so what is assumed never runs far ahead of what is true.
"""

import asyncio
import contextlib
from collections import Counter

from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.scheduler.ports import Cluster
from pilothouse.services.scheduler.scheduler import Outcome, Scheduler, Undecided

BINDS_TOGETHER_MAX = 64
PAUSE_SECONDS_EACH = 0.004
"""After a message of binds, for each of them: what comes faster goes in larger messages."""
PAUSE_SECONDS_MAX = 0.03
MESSAGES_AT_A_TIME_MAX = 4
BINDS_DECIDED_MAX = 256
REFUSALS_AT_A_TIME_MAX = 4
REFUSALS_DECIDED_MAX = 1000
DECISIONS_A_TURN = 16


class Loop:
    """Drives a :class:`Scheduler`; alone owns tasks, waiting and logging.

    ``attempts`` counts by what came of them: scheduled, unschedulable, error.
    """

    def __init__(self, scheduler: Scheduler, cluster: Cluster, clock: Clock) -> None:
        self.attempts: Counter[str] = Counter()
        # Refused, and nobody was told: the next refusal is news in whatever words.
        self._untold: set[str] = set()
        self._scheduler = scheduler
        self._cluster = cluster
        self._clock = clock
        self._changed = asyncio.Event()
        self._gathering = asyncio.Lock()
        self._bind_next = 0.0
        self._binds: asyncio.Queue[Outcome] = asyncio.Queue(BINDS_DECIDED_MAX)
        self._refusals: asyncio.Queue[Outcome] = asyncio.Queue(REFUSALS_DECIDED_MAX)
        self._preparations: asyncio.Queue[Outcome] = asyncio.Queue(BINDS_DECIDED_MAX)
        self._log = telemetry.logger(part="loop")

    def wake(self) -> None:
        """Something changed that decisions may depend on."""
        self._changed.set()

    async def run(self) -> None:
        """Decide and bind until cancelled; may be run again, and then finds what it left undone."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._decide())
                group.create_task(self._prepare())
                for _ in range(MESSAGES_AT_A_TIME_MAX):
                    group.create_task(self._bind())
                for _ in range(REFUSALS_AT_A_TIME_MAX):
                    group.create_task(self._refuse())
        finally:
            self._take_back()

    def _take_back(self) -> None:
        """What was decided and not done waits again."""
        now = self._clock.monotonic()
        for queue in (self._binds, self._refusals, self._preparations):
            while not queue.empty():
                self._undo(queue.get_nowait(), now)

    async def _decide(self) -> None:
        decided = 0
        while True:
            try:
                outcome = self._scheduler.decide(self._clock.monotonic())
            except Undecided as error:  # a bug in a rule delays one pod only
                self.attempts["error"] += 1
                self._log.error("not decided", pod=str(error.key), exc_info=error.__cause__)
                continue
            if outcome is None:
                await self._wait()
                continue
            if outcome.preparation is not None:
                await self._hand(self._preparations, outcome)
            elif outcome.decision.refusals is None:
                await self._hand(self._binds, outcome)
            else:
                self.attempts["unschedulable"] += 1
                if outcome.news or outcome.pod.uid in self._untold:
                    self._untold.discard(outcome.pod.uid)
                    await self._hand(self._refusals, outcome)
            decided += 1
            if decided % DECISIONS_A_TURN == 0:
                await asyncio.sleep(0)

    async def _hand(self, queue: asyncio.Queue[Outcome], outcome: Outcome) -> None:
        try:
            await queue.put(outcome)
        except asyncio.CancelledError:
            self._undo(outcome, self._clock.monotonic())
            raise

    def _undo(self, outcome: Outcome, now: float) -> None:
        if outcome.decision.refusals is None:
            self._scheduler.bind_failed(outcome.pod, now)
        else:
            self._untold.add(outcome.pod.uid)

    async def _wait(self) -> None:
        due = self._scheduler.next_due()
        wait = None if due is None else max(due - self._clock.monotonic(), 0.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._changed.wait()
        self._changed.clear()

    async def _together(self) -> list[Outcome]:
        """What is to be bound in one message: the faster pods come, the more."""
        async with self._gathering:
            left = self._bind_next - self._clock.monotonic()
            if left > 0:
                await self._clock.sleep(left)
            outcomes = [await self._binds.get()]
            while len(outcomes) < BINDS_TOGETHER_MAX and not self._binds.empty():
                outcomes.append(self._binds.get_nowait())
            pause = min(PAUSE_SECONDS_EACH * len(outcomes), PAUSE_SECONDS_MAX)
            self._bind_next = self._clock.monotonic() + pause
            return outcomes

    async def _bind(self) -> None:
        while True:
            outcomes = await self._together()
            pairs = [(outcome.pod, outcome.decision.node) for outcome in outcomes]
            try:
                refusals = await self._cluster.bind(pairs)
            except asyncio.CancelledError:
                # Whether they are bound is seen, or else decided anew.
                for pod, _ in pairs:
                    self._scheduler.bind_failed(pod, self._clock.monotonic())
                raise
            except ApiError as error:
                refusals = [error for _ in pairs]
            for (pod, node), refusal in zip(pairs, refusals, strict=True):
                self.attempts["scheduled" if refusal is None else "error"] += 1
                if refusal is not None:
                    self._log.info("not bound", pod=str(pod.key), node=node, error=refusal.message)
                    self._scheduler.bind_failed(pod, self._clock.monotonic())
                    self.wake()

    async def _prepare(self) -> None:
        """The pods are bound when their claims are, and that is seen."""
        while True:
            outcome = await self._preparations.get()
            if outcome.preparation is None:
                continue
            try:
                await self._cluster.prepare(outcome.preparation)
            except asyncio.CancelledError:
                self._undo(outcome, self._clock.monotonic())
                raise
            except ApiError as error:
                self._log.info("not prepared", pod=str(outcome.pod.key), error=error.message)
                self._undo(outcome, self._clock.monotonic())
                self.wake()

    async def _refuse(self) -> None:
        while True:
            outcome = await self._refusals.get()
            refusals = outcome.decision.refusals
            if refusals is None:
                continue
            try:
                await self._cluster.refuse(outcome.pod, refusals.sentence())
            except ApiError as error:
                self._log.info("not told", pod=str(outcome.pod.key), error=error.message)
