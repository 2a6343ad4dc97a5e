"""Whole lives of Jobs: pods end as they like, and the controller may die between any two writes."""

import itertools
from functools import partial
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.services.controllers.workload import job as controller
from pilothouse.services.controllers.workload.completion import backoff
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds import jobs, pods
from pilothouse.services.machinery.kinds.jobs import (
    Job,
    JobSpec,
    JobStatus,
    SuccessPolicy,
    SuccessRule,
)
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.labels import LabelSelector
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
        assert status.succeeded >= self.job.status.succeeded
        assert status.failed >= self.job.status.failed
        self.job = replace(self.job, status=status)

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


SPEC = st.one_of(
    st.builds(
        lambda completions, parallelism, limit, policy: JobSpec(
            completions=completions,
            parallelism=parallelism,
            backoff_limit=limit,
            pod_replacement_policy=policy,
            selector=LabelSelector(match_labels=LABELS),
        ),
        st.sampled_from([None, 1, 2, 5]),
        st.integers(1, 4),
        st.integers(0, 4),
        st.sampled_from([None, "Failed", "TerminatingOrFailed"]),
    ),
    st.builds(
        lambda completions, parallelism, limit, most, early: JobSpec(
            completions=completions,
            parallelism=parallelism,
            backoff_limit=2**31 - 1,
            completion_mode="Indexed",
            backoff_limit_per_index=limit,
            max_failed_indexes=most if limit is not None else None,
            success_policy=SuccessPolicy(rules=(SuccessRule(succeeded_count=2),))
            if early
            else None,
            selector=LabelSelector(match_labels=LABELS),
        ),
        st.integers(1, 5),
        st.integers(1, 4),
        st.sampled_from([None, 0, 1]),
        st.sampled_from([None, 1]),
        st.booleans(),
    ),
)
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


@settings(max_examples=150, deadline=None)
@given(SPEC, st.lists(EVENT, max_size=30))
def test_every_pod_counts_once_and_the_job_ends_once(spec, events):
    world = World(spec)
    for event in events:
        happens(world, *event)
        assert world.running_max <= spec.parallelism
    for number in itertools.count():
        world.settle()
        if jobs.finished(world.job) is not None:
            break
        assert number < 200, "it never ends"
        world.now += 600
        for pod in range(len(world.pods)):
            world.end(pod, "Succeeded")
    ends = [one.type for one in world.job.status.conditions]
    assert sorted(ends) in (["Complete", "SuccessCriteriaMet"], ["Failed", "FailureTarget"])
    status = world.job.status
    won = [name for name, phase in world.ended.items() if phase == "Succeeded"]
    if spec.completion_mode == "Indexed":
        assert status.succeeded <= (spec.completions or 0)
    else:
        assert status.succeeded <= len(won)
    if "Complete" in ends and spec.completions is not None and spec.success_policy is None:
        assert status.succeeded >= spec.completions
    assert world.running_max <= spec.parallelism
    assert not world.reconcile()
