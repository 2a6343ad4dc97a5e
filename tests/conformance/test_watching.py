"""Watches: from a revision, through selectors, after a break, and in one order for all."""

import threading
from collections.abc import Iterator
from typing import Any

from kit.official import Official
from kit.syllabus import line
from kubernetes import watch

SOURCE = "apimachinery/watch.go"
LABEL = "watch-this-configmap"
SECONDS = 20


def config(name: str, label: str = "", **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {LABEL: label}}, "data": data}


def events(client: Official, namespace: str, *, count: int, **options: Any) -> list[Any]:
    """The next ``count`` events as the official client reads them; fewer when time is up."""
    found = []
    stream = watch.Watch().stream(
        client.core.list_namespaced_config_map, namespace, timeout_seconds=SECONDS, **options
    )
    for event in stream:
        found.append((event["type"], event["object"].metadata.name, event["object"]))
        if len(found) == count:
            break
    return found


def seen(found: list[Any]) -> list[tuple[str, str]]:
    return [(kind, name) for kind, name, _ in found]


def revision_of(client: Official, namespace: str) -> str:
    answer = client.core.list_namespaced_config_map(namespace)
    return str(answer.metadata.resource_version)


@line(SOURCE, "add/update/delete notifications")
def test_watchers_are_told_of_what_they_select(client: Official, namespace: str) -> None:
    core = client.core
    start = revision_of(client, namespace)
    for label in ("a", "b"):
        core.create_namespaced_config_map(namespace, config(label, label))
        for number in "12":
            core.patch_namespaced_config_map(label, namespace, {"data": {"mutation": number}})
        core.delete_namespaced_config_map(label, namespace)
    kinds = ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    for selector, names in ((f"{LABEL}=a", "a"), (f"{LABEL}=b", "b"), (f"{LABEL} in (a,b)", "ab")):
        found = events(
            client, namespace, count=4 * len(names), label_selector=selector, resource_version=start
        )
        assert seen(found) == [(kind, name) for name in names for kind in kinds]
        assert found[3][2].data == {"mutation": "2"}


@line(SOURCE, "start watch from a specific RV")
def test_a_watch_begins_after_its_revision(client: Official, namespace: str) -> None:
    core = client.core
    core.create_namespaced_config_map(namespace, config("c"))
    first = core.patch_namespaced_config_map("c", namespace, {"data": {"mutation": "1"}})
    core.patch_namespaced_config_map("c", namespace, {"data": {"mutation": "2"}})
    core.delete_namespaced_config_map("c", namespace)
    found = events(client, namespace, count=2, resource_version=first.metadata.resource_version)
    assert seen(found) == [("MODIFIED", "c"), ("DELETED", "c")]
    assert found[0][2].data == {"mutation": "2"}


@line(SOURCE, "restart watch from last RV")
def test_a_watch_goes_on_where_it_was_closed(client: Official, namespace: str) -> None:
    core = client.core
    start = revision_of(client, namespace)
    core.create_namespaced_config_map(namespace, config("c"))
    core.patch_namespaced_config_map("c", namespace, {"data": {"mutation": "1"}})
    before = events(client, namespace, count=2, resource_version=start)
    assert seen(before) == [("ADDED", "c"), ("MODIFIED", "c")]
    core.patch_namespaced_config_map("c", namespace, {"data": {"mutation": "2"}})
    core.delete_namespaced_config_map("c", namespace)
    last = before[-1][2].metadata.resource_version
    after = events(client, namespace, count=2, resource_version=last)
    assert seen(after) == [("MODIFIED", "c"), ("DELETED", "c")]


@line(SOURCE, "label change = deletion")
def test_what_leaves_a_selection_is_deleted(client: Official, namespace: str) -> None:
    core = client.core
    start = revision_of(client, namespace)
    core.create_namespaced_config_map(namespace, config("c", "in"))
    for patch in (
        {"data": {"mutation": "1"}},
        {"metadata": {"labels": {LABEL: "out"}}},
        {"data": {"mutation": "2"}},
        {"metadata": {"labels": {LABEL: "in"}}},
        {"data": {"mutation": "3"}},
    ):
        core.patch_namespaced_config_map("c", namespace, patch)
    core.delete_namespaced_config_map("c", namespace)
    found = events(client, namespace, count=6, label_selector=f"{LABEL}=in", resource_version=start)
    assert [kind for kind, _ in seen(found)] == [
        "ADDED", "MODIFIED", "DELETED", "ADDED", "MODIFIED", "DELETED",
    ]  # fmt: skip
    assert found[3][2].data == {"mutation": "2"}


@line(SOURCE, "concurrent watches same order")
def test_all_watchers_see_one_order(client: Official, namespace: str) -> None:
    core = client.core
    start = revision_of(client, namespace)

    def write(name: str) -> None:
        for number in range(10):
            core.create_namespaced_config_map(namespace, config(f"{name}-{number}"))
            core.patch_namespaced_config_map(f"{name}-{number}", namespace, {"data": {"x": "y"}})
            core.delete_namespaced_config_map(f"{name}-{number}", namespace)

    writers = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for writer in writers:
        writer.start()
    orders = [
        [found.metadata.resource_version for _, _, found in
         events(client, namespace, count=90, resource_version=at)]
        for at in starts(start)
    ]  # fmt: skip
    for writer in writers:
        writer.join()
    assert all(len(order) == 90 for order in orders)
    assert orders[0] == orders[1] == orders[2]
    assert orders[0] == sorted(orders[0], key=int)


def starts(revision: str) -> Iterator[str]:
    for _ in range(3):
        yield revision
