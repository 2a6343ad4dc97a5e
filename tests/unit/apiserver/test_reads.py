"""Lists, pages, selectors and watches."""

import asyncio

import msgspec
import pytest
from kit.registry import pod, read

from pilothouse.services.apiserver.cache import history, watching
from pilothouse.services.apiserver.objects import reads
from pilothouse.services.machinery.errors import (
    BadRequest,
    Expired,
    Invalid,
    Timeout,
    TooManyRequests,
)


async def seen(watch, count):
    """The next ``count`` events as (type, name)."""
    events = []
    async for batch in watch:
        events += [(event.type, event.object.key.name) for event in batch]
        if len(events) >= count:
            break
    return events


async def test_lists_are_sorted_and_of_their_namespace(client):
    await client.create("namespaces", {"metadata": {"name": "other"}})
    for name, namespace in (("b", "default"), ("a", "other"), ("a", "default")):
        await client.create("configmaps", {"metadata": {"name": name}}, namespace=namespace)
    assert await client.names("configmaps") == ["a", "b"]
    listing = await client.list("configmaps", namespace="")
    assert [str(item.key) for item in listing.items] == ["default/a", "default/b", "other/a"]


@pytest.mark.parametrize(
    ("labels", "fields", "found"),
    [
        ("app=a", "", ["a"]),
        ("app!=a", "", ["b", "c"]),
        ("app in (a,c)", "", ["a", "c"]),
        ("", "metadata.name=b", ["b"]),
        ("", "metadata.name!=b", ["a", "c"]),
        ("", "spec.nodeName=", ["a", "c"]),
        ("", "spec.nodeName=node-1,status.phase=Pending", ["b"]),
        ("app=a", "metadata.name=b", []),
        ("", "metadata.namespace=elsewhere", []),
    ],
)
async def test_selectors(client, labels, fields, found):
    for name in ("a", "b", "c"):
        await client.create("pods", pod(name))
    body = {"metadata": {"name": "b"}, "target": {"name": "node-1"}}
    await client.create("pods", body, name="b", sub="binding")
    assert await client.names("pods", label_selector=labels, field_selector=fields) == found


@pytest.mark.parametrize(
    "options",
    [{"field_selector": "spec.foo=x"}, {"field_selector": "nonsense"}, {"label_selector": "a=b=c"},
     {"resource_version": "new"}, {"continue_token": "garbage"}],
)  # fmt: skip
async def test_what_can_not_be_read_is_a_bad_request(client, options):
    with pytest.raises(BadRequest):
        await client.list("pods", **options)


async def test_pages_show_one_state_while_writes_go_on(client):
    for name in "abcde":
        await client.create("configmaps", {"metadata": {"name": name}})
    first = await client.list("configmaps", limit=2)
    assert [item.key.name for item in first.items] == ["a", "b"]
    assert first.remaining == 3
    await client.create("configmaps", {"metadata": {"name": "cc"}})
    await client.delete("configmaps", "d")
    second = await client.list("configmaps", limit=2, continue_token=first.continue_token)
    assert [item.key.name for item in second.items] == ["c", "d"]
    assert second.revision == first.revision
    third = await client.list("configmaps", limit=2, continue_token=second.continue_token)
    assert ([item.key.name for item in third.items], third.continue_token) == (["e"], "")
    selected = await client.list("configmaps", limit=1, label_selector="!x")
    assert selected.remaining is None


async def test_revisions_of_lists(client):
    made = await client.create("configmaps", {"metadata": {"name": "a"}})
    revision = made["metadata"]["resourceVersion"]
    await client.create("configmaps", {"metadata": {"name": "b"}})
    exact = await client.list("configmaps", resource_version=revision,
                              resource_version_match="Exact")  # fmt: skip
    assert [item.key.name for item in exact.items] == ["a"]
    newer = await client.list("configmaps", resource_version=revision,
                              resource_version_match="NotOlderThan")  # fmt: skip
    assert [item.key.name for item in newer.items] == ["a", "b"]
    with pytest.raises(Invalid):
        await client.list("configmaps", resource_version_match="Exact")


async def test_a_revision_of_the_future_is_waited_for_in_vain(client, monkeypatch):
    monkeypatch.setattr(reads, "FUTURE_SECONDS_MAX", 0.01)
    with pytest.raises(Timeout, match="Too large resource version"):
        await client.list("configmaps", resource_version="999999")


async def test_a_forgotten_revision_is_expired(client, monkeypatch):
    monkeypatch.setattr(history, "CHANGES_MAX", 2)
    first = await client.create("configmaps", {"metadata": {"name": "a"}})
    for name in "bcde":
        await client.create("configmaps", {"metadata": {"name": name}})
    with pytest.raises(Expired):
        await anext(
            client.watch("configmaps", resource_version=first["metadata"]["resourceVersion"])
        )


async def test_a_watch_from_a_revision_sees_every_change_after_it(client):
    listing = await client.list("pods")
    await client.create("pods", pod())
    await client.patch("pods", "web", {"metadata": {"labels": {"x": "y"}}})
    gone = await client.delete("pods", "web")
    watch = client.watch("pods", resource_version=str(listing.revision))
    events = []
    async for batch in watch:
        events += batch
        if len(events) == 3:
            break
    assert [event.type for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    last = read(events[-1].object)
    assert last["metadata"]["resourceVersion"] == str(gone.revision)
    assert last["metadata"]["labels"]["x"] == "y"


async def test_a_watch_without_revision_begins_with_what_is_there(client):
    await client.create("pods", pod())
    assert await seen(client.watch("pods"), 1) == [("ADDED", "web")]


async def test_initial_events_end_with_a_marked_bookmark(client):
    await client.create("pods", pod())
    watch = client.watch(
        "pods", send_initial_events=True, resource_version_match="NotOlderThan",
        allow_bookmarks=True,
    )  # fmt: skip
    batch = await anext(watch)
    assert [(event.type, event.initial_end) for event in batch] == [
        ("ADDED", False),
        ("BOOKMARK", True),
    ]
    await client.delete("pods", "web")
    assert (await anext(watch))[0].type == "DELETED"
    await watch.aclose()
    with pytest.raises(Invalid, match="sendInitialEvents"):
        await anext(client.watch("pods", send_initial_events=True))


async def test_objects_enter_and_leave_a_selection(client):
    watch = client.watch("pods", label_selector="x=y")
    assert await anext(watch) == []
    await client.create("pods", pod())
    await client.patch("pods", "web", {"metadata": {"labels": {"x": "y"}}})
    await client.patch("pods", "web", {"metadata": {"labels": {"z": "y"}}})
    await client.patch("pods", "web", {"metadata": {"labels": {"x": None}}})
    await client.delete("pods", "web")
    events = await seen(watch, 3)
    assert [kind for kind, _ in events] == ["ADDED", "MODIFIED", "DELETED"]
    await watch.aclose()


async def test_a_watch_of_a_namespace_sees_only_that(client):
    await client.create("namespaces", {"metadata": {"name": "other"}})
    watch = client.watch("configmaps")
    await anext(watch)
    await client.create("configmaps", {"metadata": {"name": "a"}}, namespace="other")
    await client.create("configmaps", {"metadata": {"name": "b"}})
    assert await seen(watch, 1) == [("ADDED", "b")]
    await watch.aclose()


async def test_a_slow_watcher_is_cut_off(client, monkeypatch):
    monkeypatch.setattr(watching, "BUFFER_MAX", 5)
    watch = client.watch("configmaps")
    await anext(watch)
    for number in range(10):
        await client.create("configmaps", {"metadata": {"name": f"c{number}"}})
    with pytest.raises(TooManyRequests, match="fell behind"):
        await anext(watch)


async def test_a_watch_ends_when_its_time_is_up(client):
    watch = client.watch("configmaps", timeout_seconds=0.01)
    assert [batch async for batch in watch] == [[]]


async def test_readers_get_the_very_bytes_that_the_writer_got(client):
    target = client.target("pods")
    watch = client.watch("pods")
    await anext(watch)
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(client.create("pods", pod(f"p{number}")))
    listed = {item.key.name: item.json for item in (await client.list("pods")).items}
    watched = {}
    async for batch in watch:
        watched |= {event.object.key.name: event.object.json for event in batch}
        if len(watched) == 20:
            break
    assert listed == watched
    got = await client.registry.get(client.user, client.target("pods", "p3"))
    assert got.json is listed["p3"]
    assert msgspec.json.decode(got.json)["metadata"]["namespace"] == target.namespace
    await watch.aclose()
