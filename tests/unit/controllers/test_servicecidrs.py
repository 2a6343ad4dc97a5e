"""When a range of cluster addresses is ready, and when it may go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers.network.servicecidrs import GRACE_SECONDS, plan
from pilothouse.services.machinery.kinds import ranges
from pilothouse.services.machinery.kinds.ranges import (
    RANGE_FINALIZER,
    Address,
    RangeCondition,
    RangeSpec,
    RangeStatus,
    ServiceRange,
)
from pilothouse.services.machinery.objects import Metadata

DELETED, NOW = "2026-01-01T00:00:00Z", 1767225600.0


def range_(*cidrs, name="a", deleting=False, held=True, conditions=()):
    metadata = Metadata(
        name=name,
        finalizers=(RANGE_FINALIZER,) if held else (),
        deletion_timestamp=DELETED if deleting else None,
    )
    return ServiceRange(
        metadata=metadata, spec=RangeSpec(cidrs=cidrs), status=RangeStatus(conditions=conditions)
    )


def address(name, manager=ranges.ALLOCATOR):
    return Address(metadata=Metadata(name=name, labels={ranges.MANAGED_BY: manager}))


def test_a_new_one_is_held_and_ready():
    todo = plan(range_("10.0.0.0/24", held=False), (), (), NOW)
    assert todo.finalizers == (RANGE_FINALIZER,)
    assert (todo.condition.type, todo.condition.status) == ("Ready", "True")
    assert (
        plan(range_("10.0.0.0/24", conditions=(todo.condition,)), (), (), NOW + 5) == type(todo)()
    )


def test_one_in_use_stays_and_says_why():
    todo = plan(range_("10.0.0.0/24", deleting=True), (), [address("10.0.0.9")], NOW + 60)
    assert todo.finalizers is None
    assert (todo.condition.status, todo.condition.reason) == ("False", "Terminating")
    since = (RangeCondition(**{**_fields(todo.condition), "last_transition_time": DELETED}),)
    again = range_("10.0.0.0/24", deleting=True, conditions=since)
    assert plan(again, (), [address("10.0.0.9")], NOW + 90).condition is None


def _fields(condition):
    return {name: getattr(condition, name) for name in condition.__struct_fields__}


@pytest.mark.parametrize(
    ("others", "addresses"),
    [
        ((), ()),
        ((), [address("10.0.1.9")]),
        ((), [address("10.0.0.9", "somebody else")]),
        ([range_("10.0.0.0/16", name="b")], [address("10.0.0.9")]),
        ([range_("10.0.0.0/28", name="b")], [address("10.0.0.9")]),
        ([range_("10.0.0.0/24", name="b")], [address("10.0.0.9")]),
    ],
)
def test_one_that_nobody_needs_goes_after_the_grace(others, addresses):
    gone = range_("10.0.0.0/24", deleting=True)
    assert plan(gone, others, addresses, NOW + GRACE_SECONDS).finalizers == ()
    early = plan(gone, others, addresses, NOW + 1)
    assert (early.finalizers, early.again_after) == (None, GRACE_SECONDS - 1)


def test_one_of_two_families_needs_both_covered():
    both = range_("10.0.0.0/24", "fd00::/112", deleting=True)
    other = [range_("10.0.0.0/16", name="b")]
    assert ranges.orphans(both, other, [address("fd00::5")])
    assert not ranges.orphans(both, other, [address("10.0.0.5")])


@given(st.integers(0, 2**32 - 1), st.integers(8, 30), st.integers(8, 30))
def test_a_network_covers_those_within(number, outer, inner):
    networks = [
        ranges.ipaddress.ip_network((number, size), strict=False) for size in (outer, inner)
    ]
    assert ranges.covers(*networks) == (outer <= inner)
