"""Leases: who is due when, what is attached, and what a restart remembers."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.machinery.storage import Change, Entry
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.store.embedded import open_store
from pilothouse.services.store.leases import SHARED_KEYS_MAX, Bucket, Leases, bucket_of


class ShiftedClock(SystemClock):
    """A clock that is ahead, as after a while of not running."""

    def __init__(self, ahead_seconds: float) -> None:
        self._ahead = ahead_seconds

    def now(self) -> float:
        return super().now() + self._ahead


@given(ttls=st.lists(st.integers(1, 50), min_size=1, max_size=10), now=st.integers(0, 60))
def test_exactly_the_leases_whose_time_is_over_are_due(ttls: list[int], now: int) -> None:
    leases = Leases()
    for number, ttl in enumerate(ttls):
        leases.grant(number, ttl, 0)
    over = [lease.id for lease in leases.due(now)]
    assert sorted(over) == [number for number, ttl in enumerate(ttls) if ttl <= now]
    assert [leases.get(each).ttl_seconds for each in over] == sorted(
        ttl for ttl in ttls if ttl <= now
    )


def test_a_renewed_lease_is_due_once_at_its_new_time() -> None:
    leases = Leases()
    lease = leases.grant(1, 10, 0)
    leases.renew(lease, 5)
    assert leases.due(10) == []
    assert [each.id for each in leases.due(15)] == [1]
    assert leases.due(100) == []


def test_a_key_is_attached_to_its_latest_lease_only() -> None:
    leases = Leases()
    leases.grant(1, 10, 0)
    leases.grant(2, 10, 0)
    first = Entry(b"k", b"", 2, 2, 1, lease=1)
    second = Entry(b"k", b"", 2, 3, 2, lease=2)
    leases.follow(Change(b"k", 2, first, None))
    assert leases.keys(1) == [b"k"]
    leases.follow(Change(b"k", 3, second, first))
    assert (leases.keys(1), leases.keys(2)) == ([], [b"k"])
    leases.follow(Change(b"k", 4, None, second))
    assert leases.revoke(leases.get(2)) == []


@given(ttl=st.integers(1, 100_000), waited=st.integers(0, 100))
def test_a_shared_lease_never_lets_a_key_go_early(ttl: int, waited: int) -> None:
    bucket = Bucket(1, deadline=float(bucket_of(ttl)))
    assert bucket.fits(ttl, 0)
    assert not bucket.fits(ttl, waited) or waited + ttl <= bucket.deadline
    assert bucket_of(ttl) <= ttl + 60


def test_a_shared_lease_is_full_at_last() -> None:
    bucket = Bucket(1, deadline=100.0)
    for _ in range(SHARED_KEYS_MAX):
        assert bucket.fits(10, 0)
        bucket.take()
    assert not bucket.fits(10, 0)


async def test_keys_of_one_time_to_live_share_a_lease() -> None:
    store = await open_store(":memory:")
    for number in range(50):
        await store.put(b"/%d" % number, b"", expect=0, ttl_seconds=3600)
    assert len(store.keyspace.lessor.leases.all()) == 1
    await store.close()


async def test_a_restart_knows_how_long_leases_still_have(tmp_path: Path) -> None:
    path = str(tmp_path / "db")
    store = await open_store(path)
    lessor = store.keyspace.lessor
    await lessor.grant(1, 100)
    await lessor.renew(await lessor.grant(2, 1000))
    await lessor.revoke(await lessor.grant(3, 100))
    await store.keyspace.put(b"/k", b"v", 1)
    await store.close()

    store = await open_store(path, clock=ShiftedClock(60))
    lessor = store.keyspace.lessor
    left = [lease.remaining_seconds(lessor.now()) for lease in lessor.leases.all()]
    assert [lease.id for lease in lessor.leases.all()] == [1, 2]
    assert 35 <= left[0] <= 40
    assert 935 <= left[1] <= 940
    assert lessor.leases.keys(1) == [b"/k"]
    await store.close()

    store = await open_store(path, clock=ShiftedClock(500))
    stream = store.watch(b"/", 2)
    (change,) = await anext(stream)
    assert (change.key, change.entry) == (b"/k", None)
    await stream.aclose()
    await store.close()


async def test_a_clock_set_back_prolongs_no_lease_beyond_its_whole_time(tmp_path: Path) -> None:
    path = str(tmp_path / "db")
    store = await open_store(path, clock=ShiftedClock(1_000_000))
    await store.keyspace.lessor.grant(1, 100)
    await store.close()
    store = await open_store(path)
    lessor = store.keyspace.lessor
    assert lessor.leases.get(1).remaining_seconds(lessor.now()) <= 100
    await store.close()
