"""Seats on a real event loop: taken, waited for, given back, refused."""

import asyncio

import pytest

from pilothouse.services.apiserver.flow.control import Control
from pilothouse.services.apiserver.flow.standard import standard_levels, standard_schemas
from pilothouse.services.apiserver.requests import Target, User
from pilothouse.services.apiserver.rest.paths import Asked
from pilothouse.services.apiserver.rest.seating import FairSeating, PlainSeating
from pilothouse.services.machinery.errors import TooManyRequests

LIST = Asked("list", Target("", "v1", "pods", "default"))
NOISY = User("noisy", ("system:authenticated",))
QUIET = User("quiet", ("system:authenticated",))


def seating(seconds=60.0, objects=0):
    control = Control(600)
    control.configure(standard_schemas(), standard_levels())
    return FairSeating(control, lambda: None, lambda target: objects, seconds)


def arrive(seats, user, asked=LIST):
    return seats.arrive(user, asked, "get", "", "")


async def held(seats, user, order):
    seat = arrive(seats, user)
    await seat.taken()
    order.append(user.name)
    seat.leave()


async def test_who_comes_fresh_passes_a_flood():
    seats, order = seating(), []
    async with asyncio.TaskGroup() as group:
        for _ in range(64):
            group.create_task(held(seats, NOISY, order))
        while len(order) < 16:
            await asyncio.sleep(0)
        await held(seats, QUIET, order)
    assert order.index("quiet") < 32
    assert len(order) == 65
    assert all(level.seats == level.inqueue == 0 for level in seats.control.levels.values())


async def test_who_waits_too_long_is_sent_away_and_so_is_who_finds_no_place():
    seats = seating(seconds=0.04)
    level = seats.control.levels["global-default"]
    level.limits = type(level.limits)(1, 1, 1)
    first = arrive(seats, NOISY)
    await first.taken()
    waiting = [arrive(seats, NOISY) for _ in range(300)]
    late = arrive(seats, NOISY)
    assert dict(late.headers).keys() == {
        "X-Kubernetes-PF-FlowSchema-UID",
        "X-Kubernetes-PF-PriorityLevel-UID",
    }
    with pytest.raises(TooManyRequests) as refused:
        await late.taken()
    assert refused.value.retry_after_seconds == 1
    late.leave()
    with pytest.raises(TooManyRequests):
        await waiting[0].taken()
    assert level.inqueue == 299
    first.leave()
    await waiting[1].taken()
    waiting[1].leave()


async def test_a_cancelled_wait_leaves_nothing_behind():
    seats = seating()
    level = seats.control.levels["global-default"]
    level.limits = type(level.limits)(1, 1, 1)
    first = arrive(seats, NOISY)
    task = asyncio.ensure_future(held(seats, NOISY, []))
    await asyncio.sleep(0)
    assert level.inqueue == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert level.inqueue == 0
    first.leave()
    first.leave()
    assert level.seats == 0


async def test_large_lists_take_more_seats():
    seats = seating(objects=500)
    seat = arrive(seats, NOISY)
    assert seat.ticket.width == 5
    seat.leave()


async def test_plain_limits():
    seats = PlainSeating(1, 1)
    one = arrive(seats, NOISY)
    await one.taken()
    with pytest.raises(TooManyRequests):
        await arrive(seats, QUIET).taken()
    await seats.arrive(QUIET, None, "post", "/x", "").taken()
    await arrive(seats, User("admin", ("system:masters",))).taken()
    one.leave()
    one.leave()
    await arrive(seats, QUIET).taken()
    assert seats.counts == {"readOnly": 1, "mutating": 1}
