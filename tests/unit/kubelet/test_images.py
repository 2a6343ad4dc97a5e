"""Which images and containers go, in which order, and how much of the disk it takes."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.kubelet.images import collecting
from pilothouse.services.kubelet.images.collecting import Policy, Record, Stored
from pilothouse.services.kubelet.images.collector import Collector, dead
from pilothouse.services.kubelet.pod.observed import Container, Observed
from pilothouse.services.machinery.errors import Conflict

POLICY = Policy(high=85, low=80, age_min=120.0)
NOTHING = frozenset[str]()


def test_marks_of_the_disk():
    assert collecting.too_much(1000, 160, POLICY) == 0
    assert collecting.too_much(1000, 150, POLICY) == 50
    assert collecting.too_much(0, 0, POLICY) == 0


def test_the_longest_unused_first_and_never_what_is_needed():
    images = [
        Stored("new"), Stored("used"), Stored("named", ("x:1",)), Stored("pause", pinned=True),
        Stored("old"), Stored("older"),
    ]  # fmt: skip
    records = collecting.follow({}, images, frozenset({"older"}), 0.0)
    records = collecting.follow(records, images, frozenset({"old"}), 50.0)
    records = {**records, "new": Record(950.0)}
    used = frozenset({"used", "x:1"})
    chosen = collecting.unused(images, records, used, 1000.0, POLICY)
    assert [image.id for image in chosen] == ["older", "old"]


def test_records_go_with_their_images():
    before = {"a": Record(1.0, 2.0), "b": Record(1.0)}
    found = collecting.follow(before, [Stored("a"), Stored("c")], NOTHING, 9.0)
    assert found == {"a": Record(1.0, 2.0), "c": Record(9.0)}


def test_too_old():
    policy = Policy(85, 80, 0.0, age_max=100.0)
    images = [Stored("a"), Stored("b")]
    records = {"a": Record(0.0, 0.0), "b": Record(0.0, 950.0)}
    assert collecting.outdated(images, records, 1000.0, policy) == [Stored("a")]
    assert collecting.outdated(images, records, 1000.0, POLICY) == []


@given(st.lists(st.integers(0, 100), max_size=10), st.integers(0, 500))
def test_no_more_than_it_takes(sizes: list[int], wanted: int):
    images = [Stored(str(number), bytes=size) for number, size in enumerate(sizes)]
    chosen = collecting.plan(images, wanted)
    assert chosen == images[: len(chosen)]
    if chosen:
        assert sum(image.bytes for image in chosen[:-1]) < wanted
    if len(chosen) < len(images):
        assert sum(image.bytes for image in chosen) >= wanted


def test_what_the_node_tells():
    images = [Stored("a", tuple("abcdefg"), 1), Stored("b", ("x",), 2), Stored("c", (), 3)]
    assert collecting.told(images, 2) == [
        {"names": [], "sizeBytes": 3}, {"names": ["x"], "sizeBytes": 2},
    ]  # fmt: skip
    assert len(collecting.told(images, -1)[2]["names"]) == 5


def test_dead_containers():
    observed = Observed((), (
        Container("3", "a", 2, "s", "running"), Container("2", "a", 1, "s", "exited"),
        Container("1", "a", 0, "s", "exited"), Container("4", "b", 0, "s", "exited"),
    ))  # fmt: skip
    assert dead(observed, has_ended=False) == ["2", "1"]
    assert dead(observed, has_ended=True) == ["2", "1", "4"]


class FakeStore:
    """A disk of 1000 bytes with 100 free; removing makes room."""

    def __init__(self, *images: Stored) -> None:
        self.there = list(images)
        self.free = 100
        self.stuck = NOTHING

    async def images(self) -> list[Stored]:
        return list(self.there)

    async def used(self) -> frozenset[str]:
        return frozenset({"used"})

    async def remove(self, id_: str) -> None:
        if id_ in self.stuck:
            raise Conflict("stuck")
        gone = next(image for image in self.there if image.id == id_)
        self.there.remove(gone)
        self.free += gone.bytes

    async def space(self) -> tuple[int, int]:
        return 1000, self.free


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


class Nobody:
    def workers(self) -> list:
        return []


def collector(store: FakeStore, clock: Clock, warned: list[str]) -> Collector:
    return Collector(store, store, Nobody(), POLICY, clock, lambda reason, _: warned.append(reason))


def test_images_go_until_the_low_mark():
    clock, warned = Clock(), list[str]()
    store = FakeStore(*(Stored(name, bytes=60) for name in ("used", "a", "b", "c")))

    async def run() -> None:
        mine = collector(store, clock, warned)
        await mine.look()
        clock.at = 60.0
        await mine.collect()
        assert len(store.there) == 4, "too young"
        clock.at = 200.0
        await mine.collect()

    asyncio.run(run())
    assert [image.id for image in store.there] == ["used", "c"]
    assert warned == ["FreeDiskSpaceFailed"]


def test_all_that_is_unused_goes_when_room_is_needed():
    clock, warned = Clock(), list[str]()
    store = FakeStore(*(Stored(name, bytes=60) for name in ("used", "a", "b")))
    store.stuck = frozenset({"a"})

    async def run() -> None:
        mine = collector(store, clock, warned)
        await mine.look()
        clock.at = 200.0
        await mine.make()

    asyncio.run(run())
    assert [image.id for image in store.there] == ["used", "a"]
