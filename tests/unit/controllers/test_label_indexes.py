"""Pods by labels, Services by what they select: found as if all were looked at."""

import asyncio
import contextlib

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers.adapters import indexes
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.services import Service
from pilothouse.services.machinery.objects import Metadata
from pilothouse.services.machinery.resources import PODS, SERVICES
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Event

SPACES = ("a", "b")
LABELS = st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12"), max_size=3)
CHANGES = st.lists(
    st.tuples(st.sampled_from(SPACES), st.sampled_from("mno"), st.none() | LABELS), max_size=12
)


class Stream:
    """Gives all events at once, then nothing more."""

    def __init__(self, events):
        self.events = [*events, Event("BOOKMARK", 1000, "", initial_end=True)]

    async def watch(self, resource, selection, *, revision):
        yield self.events
        await asyncio.Event().wait()


def events(changes, said):
    """None is a deletion."""
    for revision, (namespace, name, labels) in enumerate(changes, 1):
        metadata = {"name": name, "namespace": namespace, "resourceVersion": str(revision)}
        body = {"metadata": metadata, **said(labels or {})}
        if "labels" in body:
            metadata["labels"] = body.pop("labels")
        kind = "DELETED" if labels is None else "MODIFIED"
        yield Event(kind, revision, msgspec.json.encode(body).decode())


async def followed(cache):
    task = asyncio.create_task(cache.run())
    await cache.wait_synced()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def keys(items):
    return sorted(str(item.metadata.key) for item in items)


@given(CHANGES, LABELS)
def test_pods_are_found_by_labels(changes, wanted):
    async def check():
        cache = Cache(Stream(events(changes, lambda labels: {"labels": labels})), PODS, Pod)
        indexes.add_label(cache)
        await followed(cache)
        for namespace in SPACES:
            expected = [
                pod
                for pod in cache.values()
                if wanted
                and pod.metadata.namespace == namespace
                and wanted.items() <= pod.metadata.labels.items()
            ]
            assert keys(indexes.labelled(cache, namespace, wanted)) == keys(expected)

    asyncio.run(check())


@given(CHANGES, LABELS)
def test_services_are_found_by_whom_they_select(changes, labels):
    async def check():
        said = events(changes, lambda selector: {"spec": {"selector": selector}})
        cache = Cache(Stream(said), SERVICES, Service)
        indexes.add_selector(cache)
        await followed(cache)
        for namespace in SPACES:
            metadata = Metadata(name="p", namespace=namespace, labels=labels)
            expected = [
                service
                for service in cache.values()
                if service.metadata.namespace == namespace
                and service.spec.selector
                and service.spec.selector.items() <= labels.items()
            ]
            assert keys(indexes.selecting(cache, metadata)) == keys(expected)

    asyncio.run(check())


def test_only_the_rarest_label_is_looked_at():
    class Counting(Cache):
        looked = 0

        def by_index(self, name, value):
            found = super().by_index(name, value)
            self.looked += len(found)
            return found

    async def check():
        changes = [("a", f"pod-{number}", {"x": "1", "y": str(number)}) for number in range(500)]
        cache = Counting(Stream(events(changes, lambda labels: {"labels": labels})), PODS, Pod)
        indexes.add_label(cache)
        await followed(cache)
        assert keys(indexes.labelled(cache, "a", {"x": "1", "y": "7"})) == ["a/pod-7"]
        assert cache.looked == 1

    asyncio.run(check())
