"""A cache of which one object does not fit its view."""

import asyncio
import contextlib

import msgspec

from pilothouse.services.machinery.kinds.workloads import ReplicaSet
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import REPLICA_SETS
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Event


def event(name, type_="ADDED", **spec):
    metadata = {"name": name, "namespace": "default", "resourceVersion": name}
    return Event(type_, 1, msgspec.json.encode({"metadata": metadata, "spec": spec}).decode())


class Stream:
    """Gives its batches once."""

    def __init__(self, *batches):
        self.batches = batches

    async def watch(self, resource, selection, *, revision):
        for batch in self.batches:
            yield batch
        await asyncio.Event().wait()


async def test_an_object_that_does_not_fit_hides_no_other():
    good = event("good", replicas=3)
    stream = Stream(
        [event("odd", replicas="three"), good, Event("BOOKMARK", 1, "", initial_end=True)],
        [event("good2", replicas=1)],
        [event("good2", "MODIFIED", replicas="one")],
    )
    cache = Cache(stream, REPLICA_SETS, ReplicaSet)
    seen = []
    cache.on_change(
        lambda old, new: seen.append((old and old.metadata.name, new and new.metadata.name))
    )
    task = asyncio.create_task(cache.run())
    async with asyncio.timeout(10):
        while len(seen) < 3:
            await asyncio.sleep(0.001)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert seen == [(None, "good"), (None, "good2"), ("good2", None)]
    assert cache.get(Key("default", "good")).spec.replicas == 3


async def test_whoever_fails_on_one_change_is_told_of_the_next_and_stops_nobody_else():
    stream = Stream(
        [event("bad", replicas=1), event("good", replicas=2)],
        [Event("BOOKMARK", 1, "", initial_end=True)],
    )
    cache = Cache(stream, REPLICA_SETS, ReplicaSet)
    seen = {"first": [], "second": []}

    def told(whom):
        def changed(_, new):
            if (whom, new.metadata.name) == ("first", "bad"):
                raise KeyError("never foreseen")
            seen[whom].append(new.metadata.name)

        return changed

    def sizes(item):
        if item.metadata.name == "bad":
            raise ValueError("never foreseen")
        return [str(item.spec.replicas)]

    cache.add_index("size", sizes)
    cache.on_change(told("first"))
    cache.on_change(told("second"))
    task = asyncio.create_task(cache.run())
    async with asyncio.timeout(10):
        await cache.wait_synced()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert seen == {"first": ["good"], "second": ["bad", "good"]}
    assert [item.metadata.name for item in cache.by_index("size", "2")] == ["good"]
    assert cache.get(Key("default", "bad")) is not None
