"""Whole lives of Jobs: pods end as they like, and the controller may die between any two writes."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from kit.jobs import EVENT, LABELS, World, happens

from pilothouse.services.machinery.kinds import jobs
from pilothouse.services.machinery.kinds.jobs import JobSpec, SuccessPolicy, SuccessRule
from pilothouse.services.machinery.labels import LabelSelector

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
