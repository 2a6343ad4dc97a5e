"""Jobs whose specs change while they run: at rest and back, more or fewer pods, more indexes."""

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.jobs import EVENT, LABELS, World, happens

from pilothouse.services.controllers.workload.completion import intervals
from pilothouse.services.machinery.kinds import jobs, pods
from pilothouse.services.machinery.kinds.jobs import JobSpec
from pilothouse.services.machinery.labels import LabelSelector

replace = msgspec.structs.replace
CHANGE = st.one_of(
    st.tuples(st.just("suspend"), st.booleans()),
    st.tuples(st.just("parallelism"), st.integers(0, 4)),
    st.tuples(st.just("scale"), st.integers(1, 5)),
)
PLAIN = st.builds(
    lambda completions, parallelism, limit, policy: JobSpec(
        completions=completions, parallelism=parallelism, backoff_limit=limit,
        pod_replacement_policy=policy, selector=LabelSelector(match_labels=LABELS),
    ),
    st.sampled_from([None, 1, 3, 5]), st.integers(1, 4), st.integers(0, 3),
    st.sampled_from(["Failed", "TerminatingOrFailed"]),
)  # fmt: skip
ELASTIC = st.builds(
    lambda size, limit: JobSpec(
        completions=size, parallelism=size, completion_mode="Indexed", backoff_limit=2**31 - 1,
        backoff_limit_per_index=limit, selector=LabelSelector(match_labels=LABELS),
    ),
    st.integers(1, 5), st.sampled_from([None, 0, 1]),
)  # fmt: skip


class Changing(World):
    """``largest`` is the most pods at once that were ever allowed."""

    def __init__(self, spec):
        super().__init__(spec)
        self.largest = spec.parallelism

    @property
    def spec(self):
        return self.job.spec

    @property
    def running(self):
        return [pod for pod in self.pods.values() if pods.is_active(pod)]

    def changes(self, what, value):
        """As the API lets a Job that is not over change."""
        elastic = jobs.is_indexed(self.job)
        if what == "suspend":
            spec = replace(self.spec, suspend=value)
        elif what == "parallelism" and not elastic:
            spec = replace(self.spec, parallelism=value)
        elif what == "scale" and elastic:
            spec = replace(self.spec, completions=value, parallelism=value)
        else:
            return
        self.largest = max(self.largest, spec.parallelism)
        self.job = replace(self.job, spec=spec)

    def _counts(self, status):
        """Fewer indexes may have fewer successes."""
        if not jobs.is_indexed(self.job):
            super()._counts(status)

    def keeps_its_limits(self):
        spec, status, running = self.spec, self.job.status, self.running
        over = {one.type for one in status.conditions if one.status == "True"}
        assert len(running) <= spec.parallelism
        assert status.active == len(running)
        if spec.suspend and not over & {jobs.COMPLETE, jobs.FAILED}:
            assert not running
            assert over & {jobs.SUSPENDED, jobs.FAILURE_TARGET, jobs.SUCCESS_CRITERIA_MET}
            if over == {jobs.SUSPENDED}:
                assert status.start_time is None
        elif jobs.finished(self.job) is None:
            assert status.start_time is not None
        if spec.backoff_limit < 2**31 - 1:
            assert status.failed <= spec.backoff_limit + self.largest
        if jobs.is_indexed(self.job):
            named = [pod.metadata.annotations[jobs.INDEX] for pod in running]
            assert len(named) == len(set(named))
            assert all(int(index) < spec.completions for index in named)
            done = intervals.parse(status.completed_indexes, 10**6)
            assert status.succeeded == intervals.total(done)
            if jobs.finished(self.job) is None:
                assert status.succeeded <= spec.completions


@settings(max_examples=150, deadline=None)
@given(PLAIN | ELASTIC, st.lists(EVENT | CHANGE, max_size=30))
def test_a_job_keeps_its_limits_whatever_its_owner_wants_next(spec, events):
    world = Changing(spec)
    for what, *values in events:
        if what in {"suspend", "parallelism", "scale"}:
            if jobs.finished(world.job) is None:
                world.changes(what, *values)
        else:
            happens(world, what, *values)
        world.settle()
        world.keeps_its_limits()


def test_a_resumed_job_starts_its_clock_anew_and_its_pods_did_not_fail():
    spec = JobSpec(completions=3, parallelism=2, active_deadline_seconds=30,
                   selector=LabelSelector(match_labels=LABELS))  # fmt: skip
    world = Changing(spec)
    world.settle()
    first = world.job.status.start_time
    world.now += 20
    world.changes("suspend", True)
    world.settle()
    world.now += 3600
    world.settle()
    assert (world.job.status.failed, jobs.finished(world.job)) == (0, None)
    world.changes("suspend", False)
    world.settle()
    assert world.job.status.start_time > first
    assert len(world.running) == 2
    said = json.loads(msgspec.json.encode(world.job.status.conditions))
    assert [(one["type"], one["status"], one["reason"]) for one in said] == [
        ("Suspended", "False", "JobResumed")
    ]
