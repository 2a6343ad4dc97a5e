"""A Job, its pods and a clock, for tests of whole lives: any write may be the last of a look."""

import itertools
from functools import partial
from typing import Any

import msgspec
from hypothesis import strategies as st

from pilothouse.services.controllers.workload import job as controller
from pilothouse.services.controllers.workload.completion import backoff
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds import jobs, pods
from pilothouse.services.machinery.kinds.jobs import Job, JobSpec, JobStatus
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Metadata, OwnerReference

LABELS = {"job": "j"}
OWNER = OwnerReference(api_version="batch/v1", kind="Job", name="j", uid="J", controller=True)
START = 1_000_000.0
STEPS_TO_REST_MAX = 8
replace = msgspec.structs.replace


class World:
    """One Job, its pods and a clock; every write is an item of ``writes``."""

    def __init__(self, spec: JobSpec) -> None:
        self.job = Job(metadata=Metadata(name="j", uid="J"), spec=spec)
        self.pods: dict[str, Pod] = {}
        self.history = backoff.NONE
        self.now = START
        self.ended: dict[str, str] = {}
        self.running_max = 0
        self._numbers = itertools.count()

    def reconcile(self, writes_max: int = 10**6) -> bool:
        """One look; whether there was anything to do. It dies after ``writes_max`` writes."""
        todo = controller.plan(self.job, list(self.pods.values()), self.history, self.now)
        writes = self._writes(todo)
        for write in writes[:writes_max]:
            write()
            self.running_max = max(self.running_max, sum(map(pods.is_active, self.pods.values())))
        if len(writes) > writes_max:
            self.history = backoff.NONE
        else:
            self.history = todo.backoff
        return bool(writes)

    def _writes(self, todo: controller.Plan) -> list[partial[None]]:
        writes = [partial(self._delete, pod) for pod in todo.stop]
        for pod in todo.retire:
            writes += [partial(self._untrack, pod), partial(self._delete, pod)]
        writes += [partial(self._create, birth) for birth in todo.create]
        if todo.status != self.job.status:
            writes.append(partial(self._say, todo.status))
        return [*writes, *(partial(self._untrack, pod) for pod in todo.untrack)]

    def _create(self, birth: Any) -> None:
        name = f"p{next(self._numbers)}"
        notes = {} if birth.index is None else {jobs.INDEX: str(birth.index)}
        if birth.failures is not None:
            notes[jobs.INDEX_FAILURES] = str(birth.failures)
        metadata = Metadata(
            name=name, uid=name, labels=LABELS, annotations=notes, owner_references=(OWNER,),
            finalizers=(jobs.TRACKING,), creation_timestamp=timestamps.render(self.now),
        )  # fmt: skip
        self.pods[name] = Pod(metadata=metadata)

    def _delete(self, pod: Pod) -> None:
        pod = self.pods.get(pod.metadata.name, pod)
        if pod.metadata.name in self.pods and not pod.metadata.deleting:
            stamp = timestamps.render(self.now)
            self._put(replace(pod, metadata=replace(pod.metadata, deletion_timestamp=stamp)))

    def _untrack(self, pod: Pod) -> None:
        pod = self.pods.get(pod.metadata.name, pod)
        if pod.metadata.name in self.pods:
            self._put(replace(pod, metadata=replace(pod.metadata, finalizers=())))

    def _put(self, pod: Pod) -> None:
        self.pods[pod.metadata.name] = pod

    def _say(self, status: JobStatus) -> None:
        assert jobs.finished(self.job) is None, "a Job that is over is written to again"
        self._counts(status)
        self.job = replace(self.job, status=status)

    def _counts(self, status: JobStatus) -> None:
        assert status.succeeded >= self.job.status.succeeded
        assert status.failed >= self.job.status.failed

    def end(self, number: int, phase: str) -> None:
        """A pod that runs ends, and one on its way out is gone when nothing holds it."""
        found = sorted(self.pods.values(), key=lambda pod: pod.metadata.name)
        if not found:
            return
        pod = found[number % len(found)]
        name = pod.metadata.name
        if pod.metadata.deleting and pods.is_terminal(pod) and not pod.metadata.finalizers:
            del self.pods[name]
        elif not pods.is_terminal(pod):
            self.ended[name] = phase
            self._put(replace(pod, status=replace(pod.status, phase=phase)))

    def evict(self, number: int) -> None:
        """Somebody else deletes a pod."""
        found = sorted(self.pods)
        if found:
            self._delete(self.pods[found[number % len(found)]])

    def settle(self) -> None:
        """Let the controller do what it can without anything happening; it comes to rest."""
        for _ in range(STEPS_TO_REST_MAX):
            if not self.reconcile():
                return
        raise AssertionError("it never comes to rest")


EVENT = st.one_of(
    st.tuples(st.just("end"), st.integers(0, 9), st.sampled_from(["Succeeded", "Failed"])),
    st.tuples(st.just("evict"), st.integers(0, 9), st.just("")),
    st.tuples(st.just("look"), st.integers(0, 9), st.just("")),
    st.tuples(st.just("wait"), st.integers(1, 60), st.just("")),
)


def happens(world: World, kind: str, number: int, phase: str) -> None:
    if kind == "end":
        world.end(number, phase)
    elif kind == "evict":
        world.evict(number)
    elif kind == "look":
        world.reconcile(number)
    else:
        world.now += number
