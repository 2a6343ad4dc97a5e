"""What our CRI server knows after it, or containerd, was killed; and what it tells by itself."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from kit.containerd import wait_for
from kit.cri_calls import Calls, calling
from kit.cri_shim import CriShim

from pilothouse.protos.cri.v1 import api_pb2 as cri

STEPS = "for i in $(seq 1000); do echo $i; sleep 0.05; done"


@pytest.fixture
async def calls(cri_shim_runtime):
    async with calling(cri_shim_runtime) as found:
        yield found


def restart(runtime: CriShim) -> None:
    runtime.kill_shim()
    runtime.start_shim()


async def answers(calls: Calls) -> None:
    """The channel finds the new server."""
    await calls.stub.Version(cri.VersionRequest(), wait_for_ready=True)


async def test_a_new_server_goes_on_where_the_old_one_ended(calls, cri_shim_runtime):
    sandbox = await calls.sandbox()
    runs = await calls.run(sandbox, "runs", command=["sh", "-c", STEPS])
    ends = await calls.run(sandbox, "ends", command=["sh", "-c", "sleep 0.5; echo last; exit 7"])
    created = await calls.create(sandbox, "created")
    gone = await calls.run(sandbox, "gone", command=["sh", "-c", "exit 4"])
    before = await calls.ended(gone)
    cri_shim_runtime.kill_shim()
    await asyncio.sleep(0.8)
    cri_shim_runtime.start_shim()
    await answers(calls)
    assert (await calls.status(runs)).state == cri.CONTAINER_RUNNING
    assert await calls.status(gone) == before
    ended = await calls.ended(ends)
    assert (ended.exit_code, ended.reason) == (7, "Error")
    assert (await calls.sandbox_status(sandbox)).state == cri.SANDBOX_READY
    await calls.start(created)
    assert (await calls.exec(created, "echo", "yes")).stdout == b"yes\n"
    log = (await calls.status(runs)).log_path
    count = len(await calls.lines(log))
    lines = await calls.lines(log, count + 5)
    assert lines == [str(number) for number in range(1, len(lines) + 1)], "no line is lost"


async def test_containerd_may_be_killed_under_it(calls, cri_shim_runtime):
    sandbox = await calls.sandbox()
    ends = await calls.run(sandbox, "ends", command=["sh", "-c", "sleep 0.6; exit 7"])
    runs = await calls.run(sandbox, "runs")
    cri_shim_runtime.process.kill()
    cri_shim_runtime.process.wait()
    await asyncio.sleep(0.8)
    status = (await calls.stub.Status(cri.StatusRequest())).status
    assert [item.status for item in status.conditions if item.type == "RuntimeReady"] == [False]
    cri_shim_runtime.start()
    ended = await calls.ended(ends)
    assert (ended.exit_code, ended.reason) == (7, "Error")
    assert (await calls.exec(runs, "echo", "yes")).stdout == b"yes\n"
    await calls.stop(runs, 1)
    again = await calls.run(sandbox, "again")
    assert (await calls.status(again)).state == cri.CONTAINER_RUNNING


async def test_after_a_loss_of_power_nothing_runs_and_nothing_stays(calls, cri_shim_runtime):
    sandbox = await calls.sandbox()
    id_ = await calls.run(sandbox)
    cri_shim_runtime.lose_power()
    cri_shim_runtime.start()
    await answers(calls)
    status = await calls.ended(id_)
    assert (status.exit_code, status.reason) == (255, "Unknown") or status.exit_code == 137
    assert (await calls.sandbox_status(sandbox)).state == cri.SANDBOX_NOTREADY
    again = calls.config()
    again.metadata.attempt = 1
    await calls.sandbox(again)


async def test_nothing_is_left_of_what_is_removed(calls, cri_shim_runtime):
    runtime = cri_shim_runtime
    sandbox = await calls.sandbox()
    await calls.run(sandbox)
    await calls.create(sandbox, "created")
    await calls.remove_sandbox(sandbox)
    root = runtime.root
    left = [
        path
        for place in ("cri/sandboxes", "cri/containers", "state/cri/netns", "state/cri/shm",
                      "state/cri/io", "state/cri/exec", "state/cri/look", "cni/cache/results")
        for path in (root / place).glob("*")
        if sandbox in path.name or "look" in place
    ]  # fmt: skip
    assert left == []
    assert sandbox not in Path("/proc/self/mountinfo").read_text()
    assert sandbox not in runtime.ctr("containers", "list", "-q").stdout
    assert sandbox not in runtime.ctr("tasks", "list", "-q").stdout


async def test_what_nobody_knows_is_cleared(calls, cri_shim_runtime):
    runtime = cri_shim_runtime
    sandbox = await calls.sandbox()
    id_ = await calls.run(sandbox)
    runtime.kill_shim()
    for path in (runtime.root / "cri").glob("records.db*"):
        path.unlink()
    runtime.start_shim()
    await answers(calls)
    listed = runtime.ctr("containers", "list", "-q").stdout
    assert sandbox not in listed
    assert id_ not in listed
    assert sandbox not in Path("/proc/self/mountinfo").read_text()
    assert not list((runtime.root / "cni" / "cache" / "results").glob(f"*{sandbox}*"))


async def test_events_tell_each_step(calls):
    seen: list[tuple[str, int]] = []
    first: list[cri.ContainerEventResponse] = []
    call = calls.stub.GetContainerEvents(cri.GetEventsRequest())

    async def listen() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            async for event in call:
                first.append(event)
                seen.append((event.container_id, event.container_event_type))

    async with asyncio.TaskGroup() as group:
        listening = group.create_task(listen())
        await asyncio.sleep(0.2)
        sandbox = await calls.sandbox()
        id_ = await calls.run(sandbox, command=["sh", "-c", "exit 3"])
        await calls.ended(id_)
        await calls.remove(id_)
        await calls.remove_sandbox(sandbox)
        await wait_for(lambda: (sandbox, cri.CONTAINER_DELETED_EVENT) in seen)
        call.cancel()
        listening.cancel()
    steps = [
        cri.CONTAINER_CREATED_EVENT, cri.CONTAINER_STARTED_EVENT, cri.CONTAINER_STOPPED_EVENT,
        cri.CONTAINER_DELETED_EVENT,
    ]  # fmt: skip
    for name in (sandbox, id_):
        assert [type_ for found, type_ in seen if found == name] == steps
    stopped = next(event for event in first if event.container_id == id_
                   and event.container_event_type == cri.CONTAINER_STOPPED_EVENT)  # fmt: skip
    assert stopped.pod_sandbox_status.id == sandbox
    (status,) = stopped.containers_statuses
    assert (status.exit_code, status.state) == (3, cri.CONTAINER_EXITED)


async def test_it_says_more_of_itself_than_containerd_1_6(calls):
    config = await calls.stub.RuntimeConfig(cri.RuntimeConfigRequest())
    assert config.linux.cgroup_driver == cri.CGROUPFS
    status = await calls.stub.Status(cri.StatusRequest())
    assert {item.name for item in status.runtime_handlers} == {"", "runc"}
    assert status.features.supplemental_groups_policy
    sandbox = await calls.sandbox()
    found = await calls.status(await calls.run(sandbox, linux={
        "security_context": {"run_as_user": {"value": 7}, "supplemental_groups": [9],
                             "supplemental_groups_policy": cri.Strict},
        "resources": {"cpu_shares": 99},
    }))  # fmt: skip
    assert (found.user.linux.uid, list(found.user.linux.supplemental_groups)) == (7, [0, 9])
    assert found.resources.linux.cpu_shares == 99
    assert found.stop_signal == cri.SIGNAL_SIGTERM
