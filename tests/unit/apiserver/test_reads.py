"""Lists, pages, selectors and watches."""

import asyncio

import msgspec
import pytest
from kit.registry import pod, read

from pilothouse.services.apiserver.cache import cache, history, watching
from pilothouse.services.apiserver.cache.compaction import Compaction
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
    monkeypatch.setattr(cache, "FUTURE_SECONDS_MAX", 0.01)
    monkeypatch.setattr(cache, "PROGRESS_SECONDS", 0.01)
    for match in ("", "Exact", "NotOlderThan"):
        with pytest.raises(Timeout, match=r"^Timeout: Too large resource version: 999999") as told:
            await client.list("configmaps", resource_version="999999", resource_version_match=match)
        status = told.value.status()
        assert (status["code"], status["details"]["retryAfterSeconds"]) == (504, 1)
        assert status["details"]["causes"] == [
            {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        ]


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


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"resource_version_match": "Exact"}, "forbidden unless resourceVersion is provided"),
        ({"resource_version_match": "NotOlderThan"}, "is forbidden unless resourceVersion"),
        ({"resource_version": "0", "resource_version_match": "Exact"},
         'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
        ({"resource_version": "5", "resource_version_match": "Sometimes"},
         'Unsupported value: "Sometimes": supported values: "Exact", "NotOlderThan"'),
        ({"continue_token": "x", "resource_version": "5", "resource_version_match": "Exact"},
         "forbidden when continue is provided"),
        ({"send_initial_events": False}, "sendInitialEvents is forbidden for list"),
    ],
)  # fmt: skip
async def test_options_that_contradict_each_other(client, options, told):
    with pytest.raises(Invalid) as refused:
        await client.list("configmaps", **options)
    assert told in refused.value.message
    assert refused.value.message.startswith('ListOptions.meta.k8s.io "" is invalid: ')
    assert refused.value.status()["details"]["kind"] == "ListOptions"


@pytest.mark.parametrize(
    "options",
    [
        {"send_initial_events": True},
        {"send_initial_events": False},
        {"resource_version_match": "NotOlderThan"},
        {"send_initial_events": True, "resource_version_match": "Exact"},
    ],
)
async def test_watches_demand_that_their_options_fit(client, options):
    with pytest.raises(Invalid):
        await anext(client.watch("configmaps", **options))


@pytest.mark.parametrize(
    "options",
    [
        {
            "resource_version": "1",
            "continue_token": "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6Miwic3RhcnQiOiJhIn0",
        },
        {"continue_token": "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6Miwic3RhcnQiOiIuLi9hIn0"},
        {"continue_token": "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJzdGFydCI6ImEifQ"},
        {"continue_token": "!"},
    ],
)
async def test_tokens_that_are_none(client, options):
    with pytest.raises(BadRequest):
        await client.list("configmaps", **options)


async def test_whatever_is_here_is_given_whole(client):
    for name in "abc":
        await client.create("configmaps", {"metadata": {"name": name}})
    listing = await client.list("configmaps", resource_version="0", limit=1)
    assert (len(listing.items), listing.continue_token) == (3, "")


async def test_lists_are_ordered_as_their_keys_are(client):
    for name in ("a", "a-b"):
        await client.create("namespaces", {"metadata": {"name": name}})
        await client.create("configmaps", {"metadata": {"name": "x"}}, namespace=name)
    first = await client.list("configmaps", namespace="", limit=1)
    second = await client.list("configmaps", namespace="", continue_token=first.continue_token)
    places = [str(item.key) for item in (*first.items, *second.items)]
    assert places == ["a-b/x", "a/x"]


async def test_old_pages_come_from_the_store_when_they_are_forgotten_here(client, monkeypatch):
    monkeypatch.setattr(history, "CHANGES_MAX", 2)
    for name in "abcde":
        await client.create("configmaps", {"metadata": {"name": name}})
    first = await client.list("configmaps", limit=2)
    for name in "cdef":
        if name == "f":
            await client.create("configmaps", {"metadata": {"name": name}})
        else:
            await client.patch("configmaps", name, {"data": {"x": "y"}})
    await client.delete("configmaps", "d")
    second = await client.list("configmaps", continue_token=first.continue_token)
    assert [item.key.name for item in second.items] == ["c", "d", "e"]
    assert all("data" not in read(item) for item in second.items)
    assert second.revision == first.revision


async def test_a_compacted_list_goes_on_inconsistently(client):
    parts = client.registry.parts
    for name in "abcd":
        await client.create("configmaps", {"metadata": {"name": name}})
    first = await client.list("configmaps", limit=2)
    compaction = Compaction(parts.storage, parts.cache, parts.clock, 300)
    await compaction.tick()
    await client.create("configmaps", {"metadata": {"name": "e"}})
    assert await client.list("configmaps", continue_token=first.continue_token)
    await compaction.tick()
    with pytest.raises(Expired, match="results in an inconsistent list") as refused:
        await client.list("configmaps", limit=2, continue_token=first.continue_token)
    status = refused.value.status()
    assert (status["code"], status["reason"]) == (410, "Expired")
    rest = await client.list("configmaps", continue_token=status["metadata"]["continue"])
    assert [item.key.name for item in rest.items] == ["c", "d", "e"]
    assert rest.revision > first.revision
    with pytest.raises(Expired, match="The resourceVersion for the provided list is too old"):
        await client.list("configmaps", resource_version="2", resource_version_match="Exact")


async def test_a_watch_of_what_comes_next_begins_with_nothing(client):
    await client.create("configmaps", {"metadata": {"name": "a"}})
    watch = client.watch(
        "configmaps", send_initial_events=False, resource_version_match="NotOlderThan"
    )
    assert await anext(watch) == []
    await client.create("configmaps", {"metadata": {"name": "b"}})
    assert await seen(watch, 1) == [("ADDED", "b")]
    await watch.aclose()


async def test_bookmarks_come_in_time_and_before_the_end(client, monkeypatch):
    monkeypatch.setattr(reads, "BOOKMARK_SECONDS", 0.02)
    monkeypatch.setattr(reads, "LAST_BOOKMARK_SECONDS", 0.01)
    watch = client.watch(
        "configmaps", resource_version="1", allow_bookmarks=True, timeout_seconds=0.1
    )
    events = [event for batch in [b async for b in watch] for event in batch]
    assert len(events) >= 2
    assert {(event.type, event.initial_end) for event in events} == {("BOOKMARK", False)}
    assert events[-1].object.revision == client.registry.parts.cache.applied


async def test_kubelets_are_told_of_their_own_pods_only(client):
    mine = client.watch("pods", field_selector="spec.nodeName=node-1")
    other = client.watch("pods", field_selector="spec.nodeName=node-2")
    one = client.watch("pods", field_selector="metadata.name=b")
    for watch in (mine, other, one):
        await anext(watch)
    for name in "ab":
        await client.create("pods", pod(name))
        body = {"metadata": {"name": name}, "target": {"name": "node-1"}}
        await client.create("pods", body, name=name, sub="binding")
        await client.delete("pods", name, grace_period_seconds=0)
    assert await seen(mine, 4) == [
        ("ADDED", "a"),
        ("DELETED", "a"),
        ("ADDED", "b"),
        ("DELETED", "b"),
    ]
    assert await seen(one, 3) == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "b")]
    audience = client.registry.parts.cache._kinds["pods"].audience
    assert len(audience) == 3
    for watch in (mine, other, one):
        await watch.aclose()
    assert (len(audience), audience._places) == (0, {})


async def test_many_changes_at_once_cut_nobody_off(client, monkeypatch):
    monkeypatch.setattr(watching, "BUFFER_MAX", 5)
    watch = client.watch("configmaps")
    await anext(watch)
    async with asyncio.TaskGroup() as group:
        for number in range(60):
            body = {"metadata": {"name": f"c{number:02}"}}
            group.create_task(client.create("configmaps", body))
    assert len(await seen(watch, 60)) == 60
    await watch.aclose()


async def test_a_slow_watcher_is_cut_off(client, monkeypatch):
    monkeypatch.setattr(watching, "BUFFER_MAX", 5)
    watch = client.watch("configmaps")
    await anext(watch)
    for number in range(10):
        await client.create("configmaps", {"metadata": {"name": f"c{number}"}})
    with pytest.raises(TooManyRequests, match="fell behind"):
        await anext(watch)


async def test_a_slow_watcher_of_large_objects_is_cut_off_sooner(client, monkeypatch):
    monkeypatch.setattr(watching, "BUFFER_BYTES_MAX", 10_000)
    watch = client.watch("configmaps")
    await anext(watch)
    for number in range(4):
        body = {"metadata": {"name": f"c{number}"}, "data": {"a": "x" * 5000}}
        await client.create("configmaps", body)
    with pytest.raises(TooManyRequests, match="fell behind"):
        await anext(watch)


async def test_who_waits_for_what_never_comes_leaves_nothing_behind(client):
    cache = client.registry.parts.cache
    for _ in range(3):
        with pytest.raises(Timeout, match="Too large resource version"):
            await cache.wait_applied(10**9, 0.001)
    assert not cache._waiters


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
