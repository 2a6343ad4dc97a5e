"""Records: found by parts of their ids, kept with each change, their ends waited for."""

import asyncio

import pytest

from pilothouse.cri_shim.adapters.record_file import RecordFile
from pilothouse.cri_shim.configs import (
    ContainerConfig,
    ContainerMetadata,
    KeyValue,
    PodMetadata,
    PodSandboxConfig,
)
from pilothouse.cri_shim.containers import endings
from pilothouse.cri_shim.ports import Exit
from pilothouse.cri_shim.records import (
    EXITED,
    NOTREADY,
    READY,
    RUNNING,
    ContainerRecord,
    SandboxRecord,
)
from pilothouse.cri_shim.store import filters
from pilothouse.cri_shim.store.events import WAITING_MAX, Event, Events
from pilothouse.cri_shim.store.records import Store, container_name
from pilothouse.services.machinery.errors import Conflict, Invalid, NotFound, TooManyRequests


def sandbox(id_, name="p", **fields):
    config = PodSandboxConfig(metadata=PodMetadata(name, "u", "ns"), labels={"name": name})
    return SandboxRecord(id=id_, config=config, created_at=1, **fields)


def container(id_, name="c", **fields):
    config = ContainerConfig(
        metadata=ContainerMetadata(name), labels={"name": name}, envs=(KeyValue("A", b"\xff\x00"),)
    )
    return ContainerRecord(
        id=id_, sandbox_id="abc1", config=config, image_id="sha256:1", created_at=1, **fields
    )


@pytest.fixture
def store(tmp_path):
    return Store(RecordFile(tmp_path / "records.db"), "/io")


def test_a_part_of_an_id_is_enough_when_it_means_one(store):
    store.put(sandbox("abc1", "p"))
    store.put(sandbox("abd2", "q"))
    assert store.sandbox("abc").id == "abc1"
    with pytest.raises(NotFound):
        store.sandbox("ab")
    with pytest.raises(NotFound):
        store.container("abc1")
    with pytest.raises(Invalid):
        store.sandbox("")


def test_all_of_it_outlives_the_process(store, tmp_path):
    records = sandbox("abc1", state=READY, ips=("10.0.0.1",)), container("c1", state=RUNNING)
    for record in records:
        store.put(record)
    store.put(container("gone", "other"))
    store.drop("gone")
    again = Store(RecordFile(tmp_path / "records.db"), "/io")
    assert (*again.sandboxes(), *again.containers()) == records
    with pytest.raises(Conflict, match="reserved"):
        again.reserve(container_name(records[1]), "new")


def test_what_is_being_made_is_not_seen_but_its_name_is_taken(store):
    store.begin(sandbox("abc1"))
    assert store.sandboxes() == []
    with pytest.raises(Conflict):
        store.begin(sandbox("abd2"))
    store.made(sandbox("abc1", state=READY))
    assert [item.id for item in store.sandboxes()] == ["abc1"]
    store.drop("abc1")
    store.begin(sandbox("abd2"))


async def test_an_end_is_waited_for(store):
    store.put(container("c1", state=RUNNING))
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(store.wait_end("c1"))
        await asyncio.sleep(0)
        assert not waiting.done()
        store.put(endings.ended(store.container("c1"), Exit(0, 5), out_of_memory=False))
    await store.wait_end("c1")
    await store.wait_end("nothing")


def test_streams_follow_from_what_was_asked_for(store):
    store.put(container("c1", log_path="/log"))
    io = store.io("c1")
    assert (io.stdin, io.stdout, io.stderr) == ("", "/io/c1/stdout", "/io/c1/stderr")
    assert io.log_path == "/log"


def test_lists_are_filtered_by_all_that_is_said():
    sandboxes = [sandbox("a1", "p", state=READY), sandbox("a2", "q", state=NOTREADY)]
    assert filters.sandboxes(sandboxes, "", None, {}) == sandboxes
    assert filters.sandboxes(sandboxes, "a", NOTREADY, {"name": "q"}) == sandboxes[1:]
    assert filters.sandboxes(sandboxes, "a1", NOTREADY, {}) == []
    containers = [container("c1"), container("c2", "d", state=EXITED)]
    assert filters.containers(containers, ("", "abc"), EXITED, {}) == containers[1:]
    assert filters.containers(containers, ("c1", "zzz"), None, {}) == []


@pytest.mark.parametrize(
    ("status", "short", "reason"),
    [(0, False, "Completed"), (1, False, "Error"), (137, False, "Error"), (137, True, "OOMKilled")],
)
def test_an_end_has_a_reason(status, short, reason):
    started = container("c1", state=RUNNING, started_at=10, pid=5)
    found = endings.ended(started, Exit(status, 7), out_of_memory=short)
    assert (found.reason, found.exit_code, found.state, found.pid) == (reason, status, EXITED, 0)
    assert found.finished_at >= found.started_at


async def test_who_does_not_keep_up_with_events_is_told(store):
    events = Events()
    listening = events.listen()

    async def tell() -> None:
        for number in range(WAITING_MAX + 2):
            events.tell(Event(0, str(number), "s", number))

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        asyncio.get_running_loop().call_soon(lambda: group.create_task(tell()))
        assert (await anext(listening)).id == "0"
        with pytest.raises(TooManyRequests):
            await anext(listening)
