"""All pods of this node: from what should be here and what is here to one worker each."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pilothouse.services.kubelet.eviction import admission as under_pressure
from pilothouse.services.kubelet.eviction.ranking import is_critical
from pilothouse.services.kubelet.eviction.values import Eviction
from pilothouse.services.kubelet.parts import Parts
from pilothouse.services.kubelet.pod.views import Container, Pod
from pilothouse.services.kubelet.ports import Exits, Leftovers, OwnNode, PodRef, Survey
from pilothouse.services.kubelet.resources import admission, preemption
from pilothouse.services.kubelet.resources.admission import Rejection
from pilothouse.services.kubelet.resources.processors import Processors
from pilothouse.services.kubelet.workers.worker import PodWorker
from pilothouse.services.machinery.errors import ApiError, MethodNotAllowed
from pilothouse.services.machinery.objects import Key, Metadata
from pilothouse.services.runtime import telemetry

ORPHAN_GRACE_SECONDS = 30.0
SURVEY_SECONDS = 10.0
EVENTS_RETRY_SECONDS = 1.0
CRASH_SECONDS = 5.0
STRAYS_MAX = 512
EXITED = 2
"""A container's state in a survey, as CRI counts them."""


@dataclass(slots=True)
class _States:
    """What the last survey saw."""

    seen: Mapping[PodRef, frozenset[tuple[str, int]]] = field(default_factory=dict)


class Pods:
    """Keeps one worker a pod; the runtime's own record decides what is an orphan."""

    def __init__(
        self,
        parts: Parts,
        runtime: Survey,
        exits: Exits,
        leftovers: Sequence[Leftovers],
        survey_seconds: float = SURVEY_SECONDS,
        node: OwnNode | None = None,
    ) -> None:
        """``survey_seconds``: how often to look for what the runtime did not tell.

        ``node``: what it is like; pods that do not belong on it are refused.
        """
        self._node = node
        self._parts = parts
        self._runtime = runtime
        self._exits = exits
        self._leftovers = leftovers
        self._survey_seconds = survey_seconds
        self._workers: dict[str, PodWorker] = {}
        self._group: asyncio.TaskGroup | None = None
        self._early: list[tuple[Pod | None, Pod | None]] = []
        self._states = _States()
        self._strays: dict[str, None] = {}
        self._is_complete = False
        self._refusal: Rejection | None = None
        self._on_end: list[Callable[[Pod], None]] = []
        self._pressures = frozenset[str]()
        self._again = asyncio.Event()
        self._log = telemetry.logger(part="pods")

    @property
    def processors(self) -> Processors:
        """Whose CPUs are whose."""
        return self._parts.processors

    def workers(self) -> list[PodWorker]:
        """Every pod that is here or going."""
        return list(self._workers.values())

    def _counted(self) -> list[Pod]:
        """The pods that have a claim on the node's resources."""
        ended = ("Succeeded", "Failed")
        return [worker.pod for worker in self.workers() if worker.phase not in ended]

    def find(self, key: Key) -> PodWorker | None:
        """The worker of the pod of this name; of several the one that is meant to be here."""
        found = [worker for worker in self.workers() if worker.pod.metadata.key == key]
        found.sort(key=lambda worker: not worker.is_expected)
        return found[0] if found else None

    def change(self, old: Pod | None, new: Pod | None) -> None:
        """A pod of this node is new, has changed, or is gone from the API server."""
        if self._group is None:
            self._early.append((old, new))
            return
        if old is not None and (new is None or new.uid != old.uid):
            self.vanish(old)
        if new is not None:
            self._adopt(new, in_api=True)

    def keep(self, pod: Pod) -> None:
        """A pod whose spec comes from this node itself."""
        self._adopt(pod, in_api=True)

    def vanish(self, pod: Pod) -> None:
        """The pod is no longer meant to be here."""
        worker = self._workers.get(pod.uid)
        if worker is not None:
            grace = pod.metadata.deletion_grace_period_seconds
            default = pod.spec.termination_grace_period_seconds
            worker.vanish(float(default if grace is None else grace))

    def press(self, conditions: frozenset[str]) -> None:
        """The node is short of something: not everybody is let in from now on."""
        self._pressures = conditions

    def refuse(self, rejection: Rejection | None) -> None:
        """Let nobody in from now on, for this reason; None: let them in again."""
        self._refusal = rejection

    def on_end(self, told: Callable[[Pod], None]) -> None:
        """Call this when nothing of a pod is left on the node."""
        self._on_end.append(told)

    def complete(self) -> None:
        """Every source of pods has been heard once: what is not wanted now is an orphan."""
        self._is_complete = True
        self._again.set()

    def _adopt(self, pod: Pod, *, in_api: bool) -> None:
        worker = self._workers.get(pod.uid)
        if worker is None:
            worker = PodWorker(
                self._parts, pod, self._strays, in_api=in_api, neighbours=self._counted
            )
            if in_api and admission.is_new(pod):
                self._admit(worker)
            self._workers[pod.uid] = worker
            worker.update(pod)
            self._spawn(worker)
        else:
            worker.update(pod)

    def _admit(self, worker: PodWorker) -> None:
        """One after the other: each is judged beside those that were let in before."""
        others = [other.pod for other in self.workers() if other.is_expected]
        allocatable = self._parts.node.around.allocatable or {}
        rejection = self._refusal or under_pressure.judge(worker.pod, self._pressures)
        if rejection is None:
            rejection = self._parts.confinement.judge(worker.pod)
        node = self._node.current() if self._node is not None else None
        if rejection is None and node is not None and admission.misplaced(worker.pod, node):
            worker.doubt(self._look_again)
        if rejection is None:
            rejection = admission.judge(worker.pod, allocatable, others)
            if rejection is not None and self._make_room(worker.pod, rejection, others):
                return
        if rejection is None:
            here = {item.uid for item in others}
            rejection = self._parts.processors.admit(worker.pod, here.__contains__)
        if rejection is not None:
            worker.reject(rejection)
        elif any("/" in name for item in _every(worker.pod) for name in item.resources.limits):
            worker.doubt(self._hand_out)

    async def _hand_out(self, worker: PodWorker) -> None:
        """Devices, before anything is made for the pod."""
        ended = ("Succeeded", "Failed")
        active = {other.pod.uid for other in self.workers() if other.phase not in ended}
        rejection = await self._parts.devices.allocate(worker.pod, active)
        if rejection is not None:
            worker.reject(rejection)

    async def _look_again(self, worker: PodWorker) -> None:
        """Whether it is misplaced by the node as it is; what is heard of it may come later."""
        if self._node is not None:
            rejection = admission.misplaced(worker.pod, await self._node.fetch())
            if rejection is not None:
                worker.reject(rejection)

    def _make_room(self, pod: Pod, rejection: Rejection, others: Sequence[Pod]) -> bool:
        """Whether the pod is so important that others leave for it, and enough of them can."""
        if not is_critical(pod) or not rejection.is_of_size:
            return False
        allocatable = self._parts.node.around.allocatable or {}
        lacking = admission.shortfalls(pod, allocatable, others)
        leaving = preemption.victims(pod, others, lacking) if lacking else None
        for victim in leaving or ():
            grace = victim.spec.termination_grace_period_seconds
            self._workers[victim.uid].evict(Eviction(preemption.REASON, preemption.MESSAGE, grace))
        return bool(leaving)

    def _spawn(self, worker: PodWorker) -> None:
        if self._group is None:
            raise RuntimeError("pods are adopted while run() runs")
        self._group.create_task(self._work(worker))

    async def _work(self, worker: PodWorker) -> None:
        while True:
            try:
                await worker.run()
                break
            except Exception as error:  # noqa: BLE001 - a bug with one pod must not end the others
                key = str(worker.pod.metadata.key)
                self._log.error("pod worker failed", pod=key, exc_info=error)
                await self._parts.clock.sleep(CRASH_SECONDS)
        if self._workers.get(worker.pod.uid) is worker:
            del self._workers[worker.pod.uid]
        for told in self._on_end:
            told(worker.pod)

    async def run(self) -> None:
        """Until cancelled. What nobody wants is left alone until :meth:`complete`."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for old, new in self._early:
                self.change(old, new)
            self._early.clear()
            group.create_task(self._listen())
            while True:
                try:
                    self._compare(await self._runtime.survey())
                except ApiError as error:
                    self._log.warning("runtime does not answer", error=error.message)
                await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._survey_seconds):
                await self._again.wait()
        except TimeoutError:
            return
        self._again.clear()

    async def _listen(self) -> None:
        """Pass on the runtime's word that something ended."""
        while True:
            try:
                async for id_ in self._exits.exits():
                    self._tell(id_)
            except MethodNotAllowed:
                self._log.info("runtime has no events; looking instead")
                return
            except ApiError as error:
                self._log.info("runtime events ended", error=error.message)
            await self._parts.clock.sleep(EVENTS_RETRY_SECONDS)
            for worker in self.workers():
                worker.wake()

    def _tell(self, id_: str) -> None:
        """To whom it concerns; an exit of what nobody has seen yet is kept until somebody does."""
        if not any(worker.exited(id_) for worker in self.workers()):
            self._strays[id_] = None
            if len(self._strays) > STRAYS_MAX:
                del self._strays[next(iter(self._strays))]

    def _compare(self, seen: Mapping[PodRef, frozenset[tuple[str, int]]]) -> None:
        """Wake who changed unnoticed; adopt, to remove, what nobody wants."""
        before, self._states.seen = self._states.seen, seen
        for ref, states in seen.items():
            worker = self._workers.get(ref.uid)
            if worker is None:
                if not self._is_complete:
                    continue
                self._log.info("orphan", namespace=ref.namespace, name=ref.name, uid=ref.uid)
                self._adopt_orphan(ref)
            elif before.get(ref, states) != states or _has_missed(worker, states):
                worker.wake()
        self._sweep(ref.uid for ref in seen)

    def _adopt_orphan(self, ref: PodRef) -> None:
        metadata = Metadata(name=ref.name, namespace=ref.namespace, uid=ref.uid)
        worker = PodWorker(self._parts, Pod(metadata=metadata), self._strays, in_api=False)
        self._workers[ref.uid] = worker
        worker.vanish(ORPHAN_GRACE_SECONDS)
        self._spawn(worker)

    def _sweep(self, known: Iterable[str]) -> None:
        """Directories and cgroups of pods that are neither wanted nor running."""
        if not self._is_complete:
            return
        present = {*known, *self._workers}
        for place in self._leftovers:
            for uid in place.pods():
                if uid not in present:
                    place.remove(uid)


def _every(pod: Pod) -> tuple[Container, ...]:
    return (*pod.spec.init_containers, *pod.spec.containers)


def _has_missed(worker: PodWorker, states: frozenset[tuple[str, int]]) -> bool:
    """Whether a container has ended that the worker saw running last.

    A runtime that has much to do admits an end later than it tells of it.
    """
    return any((item.id, EXITED) in states for item in worker.observed.alive())
