"""PodDisruptionBudget: how many of its pods may be evicted."""

import msgspec
import pytest

from pilothouse.services.controllers.policy.disruption import plan
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import pods
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


def test_without_the_controllers_nothing_is_allowed():
    status = plan(budget(max_unavailable=1), [pod("a")], None, NOW).status
    assert status.disruptions_allowed == 0
    assert status.conditions[0].reason == "SyncFailed"


def test_a_plan_carried_out_changes_nothing():
    first = plan(budget(min_available=1), [pod("a"), pod("b")], {}, NOW).status
    after = msgspec.structs.replace(budget(min_available=1), status=first)
    assert plan(after, [pod("a"), pod("b")], {}, NOW + 60).status == first
