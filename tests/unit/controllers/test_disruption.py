"""PodDisruptionBudget: how many of its pods may be evicted."""

import msgspec
import pytest

from pilothouse.services.controllers.policy.disruption import Unknown, plan
from pilothouse.services.controllers.policy.staledisruption import seconds_left
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import pods, policy
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.policy import Budget, BudgetSpec, BudgetStatus
from pilothouse.services.machinery.objects import Metadata

NOW = 1_900_000_000.0


def pod(name, *, ready=True, deleting=False):
    told = (Condition(type="Ready", status="True" if ready else "False"),)
    gone = timestamps.render(NOW) if deleting else None
    return Pod(
        metadata=Metadata(name=name, deletion_timestamp=gone), status=pods.Status(conditions=told)
    )


def budget(disrupted=None, **spec):
    return Budget(
        metadata=Metadata(name="b", generation=3),
        spec=BudgetSpec(**spec),
        status=BudgetStatus(disrupted_pods=disrupted or {}),
    )


def told(found, replicas, **spec):
    status = plan(budget(**spec), found, replicas, NOW).status
    return status.expected_pods, status.desired_healthy, status.disruptions_allowed


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ({"min_available": 2}, (3, 2, 1)),
        ({"min_available": 9}, (3, 9, 0)),
        ({"min_available": "50%"}, (4, 2, 1)),
        ({"max_unavailable": 1}, (4, 3, 0)),
        ({"max_unavailable": "30%"}, (4, 2, 1)),
        ({"max_unavailable": "100%"}, (4, 0, 3)),
    ],
)
def test_numbers_and_percentages(spec, shown):
    found = [pod("a"), pod("b"), pod("c")]
    assert told(found, {"rs": 4}, **spec) == shown


def test_only_ready_pods_that_stay_are_healthy():
    found = [pod("a"), pod("b", ready=False), pod("c", deleting=True)]
    assert plan(budget(min_available=0), found, {}, NOW).status.current_healthy == 1


def test_nobody_may_go_where_nobody_is():
    assert told([], {}, min_available=0) == (0, 0, 0)


def test_an_allowed_eviction_counts_for_two_minutes():
    recent, old = timestamps.render(NOW - 20), timestamps.render(NOW - 121)
    found = [pod("a"), pod("b"), pod("c")]
    todo = plan(budget({"a": recent, "b": old, "gone": recent}, min_available=1), found, {}, NOW)
    assert todo.status.disrupted_pods == {"a": recent}
    assert (todo.status.current_healthy, todo.again_after) == (2, 100.0)


def test_without_the_controllers_nothing_is_allowed_and_all_else_stays():
    before = BudgetStatus(observed_generation=2, current_healthy=7, disruptions_allowed=3)
    asked = msgspec.structs.replace(budget(max_unavailable=1), status=before)
    todo = plan(asked, [pod("a")], Unknown('found no controllers for pod "a"'), NOW)
    assert (todo.status.disruptions_allowed, todo.status.observed_generation) == (0, 2)
    assert todo.status.current_healthy == 7
    [said] = todo.status.conditions
    assert (said.status, said.reason) == ("False", "SyncFailed")
    assert said.message == 'found no controllers for pod "a"'
    [note] = todo.notes
    assert (note.type, note.reason) == ("Warning", "CalculateExpectedPodCountFailed")
    assert note.message.startswith("Failed to calculate the number of expected pods: found no")


@pytest.mark.parametrize(
    ("spec", "asks"),
    [
        ({"min_available": 1}, False),
        ({"min_available": "1%"}, True),
        ({"max_unavailable": 1}, True),
        ({"max_unavailable": "1%"}, True),
    ],
)
def test_a_plain_least_number_needs_no_controller(spec, asks):
    assert policy.asks_controllers(budget(**spec)) is asks


def test_pods_that_nobody_controls_are_counted_only_where_pods_are():
    found = [pod("a"), pod("b")]
    assert told(found, {}, min_available=1) == (2, 1, 1)
    assert told(found, {}, max_unavailable=1) == (0, 0, 0)
    assert told(found, {"rs": 1}, min_available="50%") == (1, 1, 1)


def test_what_people_are_told():
    assert [note.reason for note in plan(budget(min_available=1), [], {}, NOW).notes] == ["NoPods"]
    old = timestamps.render(NOW - 121)
    going = budget({"a": old, "b": old, "c": timestamps.render(NOW)}, min_available=1)
    found = [pod("a"), pod("b", deleting=True), pod("c"), pod("d")]
    [note] = plan(going, found, {}, NOW).notes
    assert (note.reason, note.pod.metadata.name) == ("NotDeleted", "a")


def test_a_plan_carried_out_changes_nothing():
    first = plan(budget(min_available=1), [pod("a"), pod("b")], {}, NOW).status
    after = msgspec.structs.replace(budget(min_available=1), status=first)
    assert plan(after, [pod("a"), pod("b")], {}, NOW + 60).status == first


@pytest.mark.parametrize(
    ("mark", "phase", "deleting", "left"),
    [
        (("True", "EvictionByEvictionAPI", 20), "Running", False, 100.0),
        (("True", "PreemptionByScheduler", 120), "Running", False, 0.0),
        (("True", "DeletionByTaintManager", 500), "Pending", False, -380.0),
        (("True", "TerminationByKubelet", 500), "Running", False, None),
        (("True", "EvictionByEvictionAPI", 500), "Failed", False, None),
        (("True", "EvictionByEvictionAPI", 500), "Running", True, None),
        (("False", "", 500), "Running", False, None),
        (None, "Running", False, None),
    ],
)
def test_a_mark_of_disruption_lasts_two_minutes_on_a_pod_that_stays(mark, phase, deleting, left):
    said = ()
    if mark is not None:
        status, reason, age = mark
        stamp = timestamps.render(NOW - age)
        said = Condition(
            type="DisruptionTarget", status=status, reason=reason, last_transition_time=stamp
        )
        said = (said,)
    gone = timestamps.render(NOW) if deleting else None
    marked = Pod(
        metadata=Metadata(name="p", deletion_timestamp=gone),
        status=pods.Status(phase=phase, conditions=said),
    )
    assert seconds_left(marked, NOW) == left
