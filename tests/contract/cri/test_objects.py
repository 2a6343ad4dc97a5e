"""Sandboxes and containers as CRI's clients make, see and remove them, on both servers."""

import asyncio
import contextlib
from pathlib import Path

import grpc
import pytest
from grpc import aio
from kit.containerd import version
from kit.cri_calls import calling, refusal
from kit.cri_shim import CriShim

from pilothouse.protos.cri.v1 import api_pb2 as cri

UNKNOWN = "f" * 64
MINUTE = 60_000_000_000


@pytest.fixture
async def calls(runtime):
    async with calling(runtime) as found:
        yield found


async def test_it_says_what_it_is_and_is_ready(calls, runtime):
    itself = await calls.stub.Version(cri.VersionRequest())
    assert (itself.runtime_name, itself.runtime_api_version) == ("containerd", "v1")
    assert itself.runtime_version
    status = (await calls.stub.Status(cri.StatusRequest(verbose=True))).status
    said = {item.type: item.status for item in status.conditions}
    if version() >= (1, 7) and not isinstance(runtime, CriShim):
        # Whether something in its configuration goes away in a later version.
        del said["ContainerdHasNoDeprecationWarnings"]
    assert said == {"RuntimeReady": True, "NetworkReady": True}
    network = {"network_config": {"pod_cidr": "10.9.0.0/24"}}
    await calls.stub.UpdateRuntimeConfig(cri.UpdateRuntimeConfigRequest(runtime_config=network))


async def test_a_sandbox_is_told_as_it_was_asked_for(calls):
    id_ = await calls.sandbox()
    status = await calls.sandbox_status(id_)
    assert (status.id, status.state) == (id_, cri.SANDBOX_READY)
    assert status.metadata == calls.config().metadata
    assert status.network.ip.startswith("10.244.77.")
    assert dict(status.labels) == {"uid": calls.uid, "name": "pod"}
    assert dict(status.annotations) == {"note": "pod"}
    assert status.linux.namespaces.options.network == cri.POD
    (item,) = await calls.sandboxes()
    assert (item.id, item.state, item.metadata) == (id_, cri.SANDBOX_READY, status.metadata)
    assert item.created_at == status.created_at
    verbose = cri.PodSandboxStatusRequest(pod_sandbox_id=id_, verbose=True)
    assert (await calls.stub.PodSandboxStatus(verbose)).info["info"].startswith("{")


async def test_lists_are_filtered(calls):
    one = await calls.sandbox(calls.config("one"))
    two = await calls.sandbox(calls.config("two"))
    await calls.stop_sandbox(two)
    assert {item.id for item in await calls.sandboxes()} == {one, two}
    for fields, expected in (
        ({"id": one}, {one}),
        ({"id": one[:12]}, {one}),
        ({"state": {"state": cri.SANDBOX_NOTREADY}}, {two}),
        ({"state": {"state": cri.SANDBOX_READY}}, {one}),
        ({"labels": {"name": "two"}}, {two}),
        ({"labels": {"name": "none"}}, set()),
        ({"id": UNKNOWN}, set()),
    ):
        assert {item.id for item in await calls.sandboxes(**fields)} == expected, fields
    a, b = await calls.run(one, "a"), await calls.create(one, "b")
    for fields, expected in (
        ({}, {a, b}),
        ({"pod_sandbox_id": one}, {a, b}),
        ({"pod_sandbox_id": two}, set()),
        ({"id": b[:12]}, {b}),
        ({"state": {"state": cri.CONTAINER_RUNNING}}, {a}),
        ({"state": {"state": cri.CONTAINER_CREATED}}, {b}),
        ({"labels": {"container": "a"}}, {a}),
    ):
        assert {item.id for item in await calls.containers(**fields)} == expected, fields


async def test_a_container_is_told_at_each_step(calls):
    sandbox = await calls.sandbox()
    id_ = await calls.create(sandbox, command=["sh", "-c", "sleep 0.1; exit 3"])
    made = await calls.status(id_)
    assert (made.state, made.started_at, made.finished_at) == (cri.CONTAINER_CREATED, 0, 0)
    assert made.metadata.name == "main"
    assert made.image.image == "docker.io/library/busybox:latest"
    assert made.log_path.endswith("/pod/main.log")
    await calls.start(id_)
    ended = await calls.ended(id_)
    assert (ended.exit_code, ended.reason) == (3, "Error")
    assert made.created_at <= ended.started_at <= ended.finished_at < made.created_at + MINUTE
    (item,) = await calls.containers()
    assert (item.id, item.pod_sandbox_id, item.state) == (id_, sandbox, cri.CONTAINER_EXITED)
    assert item.image_ref == made.image_ref or item.image_ref.startswith("sha256:")
    fine = await calls.ended(await calls.run(sandbox, "fine", command=["true"]))
    assert (fine.exit_code, fine.reason) == (0, "Completed")


async def test_what_can_not_start_ends_with_its_reason(calls):
    id_ = await calls.create(await calls.sandbox(), command=["/no/such/program"])
    assert await refusal(calls.start(id_)) is not grpc.StatusCode.OK
    status = await calls.status(id_)
    assert (status.state, status.exit_code) == (cri.CONTAINER_EXITED, 128)
    assert status.reason == "StartError"
    assert "no such file or directory" in status.message
    assert status.finished_at
    await calls.remove(id_)


async def test_stops_and_removals_may_be_repeated(calls):
    sandbox = await calls.sandbox()
    id_ = await calls.run(sandbox)
    assert await calls.lines((await calls.status(id_)).log_path) == ["ready"]
    for _ in range(2):
        await calls.stop(id_, 5)
    assert (await calls.status(id_)).exit_code == 0
    for _ in range(2):
        await calls.remove(id_)
    for _ in range(2):
        await calls.stop_sandbox(sandbox)
    assert (await calls.sandbox_status(sandbox)).state == cri.SANDBOX_NOTREADY
    for _ in range(2):
        await calls.remove_sandbox(sandbox)
    assert await calls.sandboxes() == []
    await calls.remove(UNKNOWN)
    await calls.remove_sandbox(UNKNOWN)


async def attempted(call):
    with contextlib.suppress(aio.AioRpcError):
        await call


async def test_at_once_they_are_repeated_as_well(calls):
    sandbox = await calls.sandbox()
    script = "trap '' TERM; echo deaf; while :; do sleep 1; done"
    id_ = await calls.run(sandbox, command=["sh", "-c", script])
    assert await calls.lines((await calls.status(id_)).log_path) == ["deaf"]
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(calls.stop(id_, 1))
    assert (await calls.status(id_)).exit_code == 137
    # containerd lets the plugins of two stops race: who loses is told so, and asks again.
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(attempted(calls.stop_sandbox(sandbox)))
    await calls.stop_sandbox(sandbox)
    assert (await calls.sandbox_status(sandbox)).state == cri.SANDBOX_NOTREADY


async def test_a_running_container_is_removed_by_force(calls):
    sandbox = await calls.sandbox()
    id_ = await calls.run(sandbox, command=["sleep", "1000"])
    await calls.remove(id_)
    assert await calls.containers() == []
    assert await refusal(calls.status(id_)) is grpc.StatusCode.NOT_FOUND


async def test_a_running_sandbox_is_removed_by_force(calls):
    sandbox = await calls.sandbox()
    await calls.run(sandbox)
    await calls.create(sandbox, "created")
    await calls.remove_sandbox(sandbox)
    assert await calls.sandboxes() == await calls.containers() == []


async def test_errors_have_their_codes(calls):
    missing = grpc.StatusCode.NOT_FOUND
    stub = calls.stub
    assert await refusal(calls.status(UNKNOWN)) is missing
    assert await refusal(calls.sandbox_status(UNKNOWN)) is missing
    assert await refusal(calls.start(UNKNOWN)) is missing
    assert await refusal(calls.exec(UNKNOWN, "true")) is missing
    assert await refusal(stub.Exec(cri.ExecRequest(container_id=UNKNOWN, cmd=["x"],
                                                   stdout=True))) is missing  # fmt: skip
    assert await refusal(stub.Attach(cri.AttachRequest(container_id=UNKNOWN,
                                                       stdout=True))) is missing  # fmt: skip
    assert await refusal(
        stub.PortForward(cri.PortForwardRequest(pod_sandbox_id=UNKNOWN))
    ) is missing  # fmt: skip
    assert await refusal(
        stub.ContainerStats(cri.ContainerStatsRequest(container_id=UNKNOWN))
    ) is missing  # fmt: skip
    assert await refusal(
        stub.ReopenContainerLog(cri.ReopenContainerLogRequest(container_id=UNKNOWN))
    ) is missing  # fmt: skip
    assert await refusal(
        stub.UpdateContainerResources(cri.UpdateContainerResourcesRequest(container_id=UNKNOWN))
    ) is missing  # fmt: skip
    await refusal(calls.create(UNKNOWN))
    await refusal(calls.create(await calls.sandbox(), image={"image": "nowhere/nothing:1"}))
    assert await calls.containers() == []


async def test_a_name_is_given_once(calls):
    sandbox = await calls.sandbox()
    await refusal(calls.stub.RunPodSandbox(cri.RunPodSandboxRequest(config=calls.config())))
    await calls.create(sandbox)
    await refusal(calls.create(sandbox))
    assert (len(await calls.sandboxes()), len(await calls.containers())) == (1, 1)


async def test_what_ended_is_neither_started_nor_entered(calls, runtime):
    sandbox = await calls.sandbox()
    id_ = await calls.run(sandbox, command=["true"])
    await calls.ended(id_)
    await refusal(calls.start(id_))
    await refusal(calls.exec(id_, "true"))
    request = cri.ReopenContainerLogRequest(container_id=id_)
    await refusal(calls.stub.ReopenContainerLog(request))
    await calls.stop_sandbox(sandbox)
    if version() < (2, 0) or isinstance(runtime, CriShim):
        await refusal(calls.create(sandbox, "late"))
    else:
        # containerd creates it since 2.0, and does not start it.
        late = await calls.create(sandbox, "late")
        await refusal(calls.start(late))


async def test_an_unknown_handler_is_refused(calls):
    request = cri.RunPodSandboxRequest(config=calls.config(), runtime_handler="nothing")
    await refusal(calls.stub.RunPodSandbox(request))
    assert await calls.sandboxes() == []


async def test_a_container_that_runs_is_found_again_by_a_part_of_its_id(calls):
    id_ = await calls.run(await calls.sandbox())
    assert (await calls.status(id_[:13])).id == id_
    assert (await calls.exec(id_[:13], "echo", "yes")).stdout == b"yes\n"


async def test_commands_have_output_and_exit_codes_and_no_more_time_than_they_get(calls):
    id_ = await calls.run(await calls.sandbox())
    found = await calls.exec(id_, "sh", "-c", "echo out; echo err >&2; exit 5")
    assert (found.stdout, found.stderr, found.exit_code) == (b"out\n", b"err\n", 5)
    assert await refusal(calls.exec(id_, "sleep", "100", timeout=1)) is (
        grpc.StatusCode.DEADLINE_EXCEEDED
    )
    assert b"sleep 100" not in (await calls.exec(id_, "ps")).stdout
    await refusal(calls.exec(id_, "/no/such/program"))


async def test_stats_are_of_what_runs(calls):
    sandbox = await calls.sandbox()
    id_ = await calls.run(sandbox)
    await calls.exec(id_, "dd", "if=/dev/zero", "of=/big", "bs=1k", "count=300")
    request = cri.ContainerStatsRequest(container_id=id_)
    stats = (await calls.stub.ContainerStats(request)).stats
    assert (stats.attributes.id, stats.attributes.metadata.name) == (id_, "main")
    assert stats.cpu.usage_core_nano_seconds.value > 0
    assert stats.memory.working_set_bytes.value > 0
    listed = cri.ListContainerStatsRequest(filter={"pod_sandbox_id": sandbox})
    found = (await calls.stub.ListContainerStats(listed)).stats
    assert [item.attributes.id for item in found] == [id_]


async def test_the_log_is_gone_on_with_in_a_new_file(calls):
    script = "while :; do echo tick; sleep 0.05; done"
    id_ = await calls.run(await calls.sandbox(), command=["sh", "-c", script])
    path = Path((await calls.status(id_)).log_path)
    while not path.exists() or not path.read_text():
        await asyncio.sleep(0.02)
    path.rename(path.with_suffix(".old"))
    await calls.stub.ReopenContainerLog(cri.ReopenContainerLogRequest(container_id=id_))
    while not path.exists() or not path.read_text():
        await asyncio.sleep(0.02)
    stamp, stream, tag, text = path.read_text().splitlines()[0].split(" ", 3)
    assert (stream, tag, text) == ("stdout", "F", "tick")
    assert stamp.endswith("Z") or "+" in stamp


async def test_a_lack_of_memory_is_told(calls):
    most = 20 << 20
    limits = {"memory_limit_in_bytes": most, "memory_swap_limit_in_bytes": most}
    command = ["sh", "-c", "exec tail -c 200m < /dev/zero"]
    id_ = await calls.run(await calls.sandbox(), command=command, linux={"resources": limits})
    status = await calls.ended(id_)
    assert (status.reason, status.exit_code) == ("OOMKilled", 137)


async def test_limits_change_while_it_runs(calls):
    limits = {"resources": {"cpu_shares": 512, "memory_limit_in_bytes": 64 << 20}}
    id_ = await calls.run(await calls.sandbox(), linux=limits)
    change = {"cpu_shares": 256, "memory_limit_in_bytes": 128 << 20}
    request = cri.UpdateContainerResourcesRequest(container_id=id_, linux=change)
    await calls.stub.UpdateContainerResources(request)
    read = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.shares || " \
        "cat /sys/fs/cgroup/memory.max"  # fmt: skip
    found = (await calls.exec(id_, "sh", "-c", read)).stdout.split()
    assert found[0] == str(128 << 20).encode()
    created = await calls.create(next(iter(calls.made)), "created", linux=limits)
    await calls.stub.UpdateContainerResources(
        cri.UpdateContainerResourcesRequest(container_id=created, linux=change)
    )
    await calls.start(created)
    found = (await calls.exec(created, "sh", "-c", read)).stdout.split()
    assert found[0] == str(128 << 20).encode()
