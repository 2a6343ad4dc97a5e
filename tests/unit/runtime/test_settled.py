"""Whether a cache has caught up with our own writes; calls in batches."""

import json

from pilothouse.services.machinery.errors import Forbidden
from pilothouse.services.machinery.objects import Key, Metadata, Object
from pilothouse.services.runtime.control import batches
from pilothouse.services.runtime.control.settled import Settled

OWNER = Key("ns", "owner")
ITEM = Key("ns", "item")


class FakeCache:
    def __init__(self):
        self.revision = 10
        self.items = {}

    def get(self, key):
        return self.items.get(key)


def answer(version):
    return json.dumps({"metadata": {"name": "item", "resourceVersion": str(version)}})


def shown(uid="u", **more):
    return Object(metadata=Metadata(name="item", namespace="ns", uid=uid, **more))


def test_a_write_is_settled_when_the_cache_has_reached_it():
    cache = FakeCache()
    settled = Settled(cache)
    assert settled.is_settled(OWNER)
    settled.wrote(OWNER, answer(12))
    settled.wrote(OWNER, answer(11))
    assert not settled.is_settled(OWNER)
    assert settled.is_settled(Key("ns", "another"))
    cache.revision = 12
    assert settled.is_settled(OWNER)


def test_a_deletion_is_settled_when_the_object_is_gone_or_going():
    cache = FakeCache()
    settled = Settled(cache)
    for after in (None, shown("other"), shown(deletion_timestamp="2026-01-01T00:00:00Z")):
        cache.items[ITEM] = shown()
        settled.deleted(OWNER, shown().metadata)
        assert not settled.is_settled(OWNER)
        cache.items[ITEM] = after
        assert settled.is_settled(OWNER)


def test_what_is_forgotten_is_settled():
    settled = Settled(FakeCache())
    settled.wrote(OWNER, answer(99))
    settled.forget(OWNER)
    assert settled.is_settled(OWNER)


async def test_a_full_quota_is_met_with_few_calls():
    calls = 0

    async def refuse():
        nonlocal calls
        calls += 1
        if calls > 5:
            raise Forbidden("full")

    failure = await batches.slow_start(500, refuse)
    assert failure.message == "full"
    assert calls == 7


async def test_all_are_called_when_nothing_refuses():
    calls = []

    async def act():
        calls.append(1)

    assert await batches.slow_start(300, act) is None
    assert len(calls) == 300
    assert await batches.slow_start(0, act) is None


async def test_each_goes_on_after_a_refusal_and_tells_the_first():
    seen = []

    async def act(number):
        seen.append(number)
        if number % 2:
            raise Forbidden(str(number))

    failure = await batches.each(range(6), act)
    assert failure.message == "1"
    assert seen == list(range(6))
