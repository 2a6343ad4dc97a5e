"""Leader election: what a candidate decides, and two of them on virtual time."""

import asyncio
import contextlib
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.machinery.errors import AlreadyExists, Conflict, NotFound, Timeout
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime import incumbent
from pilothouse.services.runtime.client.election import Election, Term
from pilothouse.services.runtime.control import leadership
from pilothouse.services.runtime.control.leadership import (
    Candidate,
    Create,
    Observed,
    Record,
    Timing,
    Update,
    Wait,
)
from pilothouse.services.runtime.control.loop import Loop
from pilothouse.services.runtime.control.queue import WorkQueue

ME, OTHER = "me_1", "other_1"
MINE = Candidate(ME)
HELD = Record(OTHER, 15, 100.0, 110.0, 3)


def test_the_first_makes_the_lease():
    assert leadership.decide(MINE, None, 5.0, 100.0) == Create(Record(ME, 15, 100.0, 100.0, 0))


def test_a_held_lease_is_left_until_it_was_seen_unchanged_for_its_whole_duration():
    seen = Observed(HELD, "7", since=50.0)
    assert leadership.decide(MINE, seen, 64.9, 0.0) == Wait()
    assert leadership.decide(MINE, seen, 65.0, 200.0) == Update(
        Record(ME, 15, 200.0, 200.0, 4), "7"
    )


@given(skew=st.floats(-1e9, 1e9), elapsed=st.floats(0, 14.9))
def test_what_time_the_holder_writes_does_not_matter(skew, elapsed):
    record = dataclasses.replace(HELD, renewed=HELD.renewed + skew)
    seen = Observed(record, "7", since=50.0)
    assert leadership.decide(MINE, seen, 50.0 + elapsed, 200.0) == Wait()


def test_only_a_changed_record_begins_its_time_anew():
    seen = Observed(HELD, "7", since=50.0)
    assert seen.seen(HELD, "8", 60.0) == Observed(HELD, "8", 50.0)
    renewed = dataclasses.replace(HELD, renewed=112.0)
    assert seen.seen(renewed, "8", 60.0).since == 60.0


def test_a_renewal_keeps_since_when_and_for_which_time_it_leads():
    seen = Observed(Record(ME, 15, 90.0, 110.0, 3), "7", since=50.0)
    assert leadership.decide(MINE, seen, 52.0, 112.0) == Update(Record(ME, 15, 90.0, 112.0, 3), "7")


def test_a_released_lease_is_taken_at_once():
    gone = leadership.release(Observed(HELD, "7", 50.0), 115.0)
    assert gone == Update(Record("", 1, 115.0, 115.0, 3), "7")
    act = leadership.decide(MINE, Observed(gone.record, "8", 51.0), 51.0, 116.0)
    assert act == Update(Record(ME, 15, 116.0, 116.0, 4), "8")


def test_the_lease_of_one_known_to_be_dead_is_taken_at_once():
    heir = dataclasses.replace(MINE, predecessor=OTHER)
    assert isinstance(leadership.decide(heir, Observed(HELD, "7", 50.0), 50.0, 0.0), Update)


@pytest.mark.parametrize("seconds", [(10, 10, 2), (15, 2.4, 2), (0.9, 0.5, 0.1), (15, 10, 0)])
def test_times_by_which_two_could_lead_are_refused(seconds):
    with pytest.raises(ValueError, match="must be"):
        Timing(*seconds)


def test_who_failed_looks_again_soon_and_who_waits_does_not():
    assert leadership.pause_seconds(MINE, 1, 0.9) == 0.05
    assert leadership.pause_seconds(MINE, 50, 0.9) == 2.0
    assert leadership.pause_seconds(MINE, 0, 0.5) == 2.0 * 1.6


class Time:
    """Sleepers wake in the order of their time, one after another."""

    def __init__(self):
        self.seconds = 0.0
        self.count = 0
        self.sleepers = []

    def now(self):
        return 1e9 + self.seconds

    def monotonic(self):
        return self.seconds

    async def sleep(self, seconds):
        woken = asyncio.get_running_loop().create_future()
        self.count += 1
        entry = (self.seconds + seconds, self.count, woken)
        self.sleepers.append(entry)
        try:
            await woken
        finally:
            self.sleepers.remove(entry)

    async def pass_until(self, end):
        while True:
            for _ in range(20):  # until all that is awake has gone to sleep
                await asyncio.sleep(0)
            due, _, woken = min(self.sleepers, default=(end + 1, 0, None))
            if due > end:
                self.seconds = end
                return
            self.seconds = due
            woken.set_result(None)


class Store:
    """The Lease as all see it."""

    def __init__(self):
        self.record = None
        self.revision = 0
        self.notes = []
        self.watchers = []

    @property
    def shown(self):
        return self.record and (self.record, str(self.revision))


class FakeLeases:
    """One candidate's way to it, which may be cut."""

    def __init__(self, store, name):
        self.store = store
        self.name = name
        self.cut = False
        self.told = True
        self.calls = []

    def _call(self, verb):
        self.calls.append(verb)
        if self.cut:
            raise Timeout("no way to the API server")

    async def get(self):
        self._call("get")
        if self.store.record is None:
            raise NotFound("no lease")
        return self.store.record, str(self.store.revision)

    async def create(self, record):
        self._call("create")
        if self.store.record is not None:
            raise AlreadyExists("there is one")
        return self._put(record)

    async def update(self, record, revision):
        self._call("update")
        if revision != str(self.store.revision):
            raise Conflict("changed")
        return self._put(record)

    async def watch(self):
        if self.cut or not self.told:
            raise Timeout("no way to the API server")
        changes = asyncio.Queue()
        self.store.watchers.append(changes)
        if self.store.record:
            yield self.store.shown
        while True:
            yield await changes.get()

    def _put(self, record):
        self.store.record = record
        self.store.revision += 1
        for watcher in self.store.watchers:
            watcher.put_nowait(self.store.shown)
        return str(self.store.revision)

    def note(self, message):
        self.store.notes.append(f"{self.name} {message}")


class Standing:
    """A candidate that runs, and whether it works."""

    def __init__(self, group, store, time, name, *, told=True):
        self.leases = FakeLeases(store, name)
        self.leases.told = told
        self.term = Term(time)
        self.working = False
        self.starts = 0
        election = Election(self.leases, Candidate(name), time, self.term)
        self.task = group.create_task(election.run(self.work))

    async def work(self):
        self.working = True
        self.starts += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.working = False


@contextlib.asynccontextmanager
async def two():
    store, time = Store(), Time()
    async with asyncio.TaskGroup() as group:
        first = Standing(group, store, time, "first")
        await time.pass_until(0.0)
        second = Standing(group, store, time, "second")
        await time.pass_until(1.0)
        yield store, time, first, second
        first.task.cancel()
        second.task.cancel()


async def test_the_first_leads_at_once_and_renews_with_one_write():
    async with two() as (store, time, first, second):
        assert (first.working, second.working) == (True, False)
        await time.pass_until(60.0)
        assert (first.working, second.working) == (True, False)
        assert first.leases.calls == ["get", "create"] + ["update"] * 30
        assert set(second.leases.calls) == {"get"}
        assert store.record.transitions == 0


async def test_who_cannot_renew_stops_before_the_other_starts():
    async with two() as (store, time, first, second):
        first.leases.cut = True
        await time.pass_until(9.9)
        assert first.working
        both = False
        for second_at in range(100, 200):
            await time.pass_until(second_at / 10)
            both = both or (first.working and second.working)
        assert not both
        assert (first.working, second.working) == (False, True)
        assert store.record.transitions == 1
        first.leases.cut = False
        await time.pass_until(60.0)
        assert (first.working, second.working) == (False, True)
        assert store.notes == ["first became leader", "first stopped leading",
                               "second became leader"]  # fmt: skip


async def test_who_lost_the_lease_stands_by_and_leads_again():
    async with two() as (_, time, first, second):
        second.task.cancel()
        first.leases.cut = True
        await time.pass_until(30.0)
        assert not first.working
        first.leases.cut = False
        await time.pass_until(33.0)
        assert first.working


async def test_who_goes_gives_the_lease_back():
    async with two() as (store, time, first, second):
        first.task.cancel()
        await time.pass_until(1.0)
        assert not first.working
        assert store.record.transitions == 1
        assert (store.record.holder, store.record.duration_seconds) == ("second", 15)
        assert second.working


async def test_who_stands_by_is_told_and_does_not_ask():
    async with two() as (_, time, first, second):
        await time.pass_until(60.0)
        # At first it asks, and once more if it was not told by then.
        assert second.leases.calls in (["get"], ["get", "get"])
        first.task.cancel()
        await time.pass_until(60.0)
        assert second.working


async def test_a_dead_leader_is_followed_as_soon_as_its_lease_lapses():
    async with two() as (_, time, first, second):
        await time.pass_until(60.0)
        first.leases.cut = True
        await time.pass_until(74.9)
        assert not second.working
        await time.pass_until(75.0)
        assert second.working


async def test_who_is_not_told_asks_and_knows_by_when_the_lease_lapses():
    store, time = Store(), Time()
    async with asyncio.TaskGroup() as group:
        first = Standing(group, store, time, "first")
        await time.pass_until(0.0)
        second = Standing(group, store, time, "second", told=False)
        await time.pass_until(60.0)
        assert set(second.leases.calls) == {"get"}
        assert 60 / 4.4 - 1 <= len(second.leases.calls) <= 31
        first.leases.cut = True
        await time.pass_until(75.0 + 4.4)
        assert second.working
        first.task.cancel()
        second.task.cancel()


async def test_who_sees_another_hold_it_stops_at_once():
    async with two() as (store, time, first, _):
        await first.leases.update(Record("third", 15, 0, 0, 1), str(store.revision))
        await time.pass_until(2.1)
        assert not first.working
        with pytest.raises(Exception, match="does not lead"):
            first.term.check()


async def test_who_finds_that_another_led_meanwhile_begins_its_work_anew():
    async with two() as (store, time, first, second):
        second.task.cancel()
        await time.pass_until(60.0)
        assert first.starts == 1
        # Somebody took it and gave it back, between two looks.
        await first.leases.update(Record("", 1, 0, 0, 4), str(store.revision))
        await time.pass_until(62.1)
        assert (store.record.holder, store.record.transitions) == ("first", 5)
        assert (first.working, first.starts) == (True, 2)


async def test_who_was_stopped_may_write_nothing_when_it_goes_on():
    async with two() as (_, time, first, _):
        first.term.check()
        time.seconds = 12.0  # nothing ran meanwhile
        with pytest.raises(Exception, match="does not lead"):
            first.term.check()


def test_the_mark_names_the_dead_and_not_the_living(tmp_path):
    mark = tmp_path / "run" / "controllers.leader"
    with incumbent.marked(mark, "a") as before:
        assert before == ""
        with incumbent.marked(mark, "b") as beside:
            assert beside == ""
    with incumbent.marked(mark, "c") as before:
        assert before == "a"


async def test_a_loop_that_is_paused_goes_on_with_what_it_left_and_what_came():
    queue = WorkQueue()
    begun, seen = asyncio.Event(), []

    class Endless:
        name = "endless"

        async def reconcile(self, key):
            seen.append(key.name)
            begun.set()
            await asyncio.Event().wait()

    loop = Loop(Endless(), queue, workers=1)
    queue.add(Key("", "worked-on"))
    queue.add_after(Key("", "later"), 3600)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(loop.run())
        await begun.wait()
        running.cancel()
    queue.add(Key("", "came"))
    left = [(await queue.get()).name for _ in range(len(queue))]
    assert seen == ["worked-on"]
    assert sorted(left) == ["came", "later", "worked-on"]
