"""Commands, terminals, ports and logs at the contract itself, on both CRI servers."""

import asyncio
import json
import re
from pathlib import Path

import grpc
import pytest
from grpc import aio
from kit.containerd import Containerd, wait_for
from kit.node import inside
from kit.rawcri import Running, refused, running, spdy

from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.services.machinery.errors import ServiceUnavailable
from pilothouse.services.runtime.spdy.connection import Connection, upgrade


async def test_exec_sync(runtime: Containerd) -> None:
    async with running(runtime) as found:
        answer = await found.exec_sync("sh", "-c", "echo out; echo err >&2; exit 3")
        assert (answer.stdout, answer.stderr, answer.exit_code) == (b"out\n", b"err\n", 3)
        answer = await found.exec_sync("sh", "-c", "echo $HOSTNAME; id -u; cat", timeout=5)
        assert answer.exit_code == 0, "nothing to read is the end, not a wait"
        words = await refused(
            found.exec_sync("sleep", "100", timeout=1), grpc.StatusCode.DEADLINE_EXCEEDED
        )
        assert "timeout" in words
        left = (await found.exec_sync("ps")).stdout
        assert b"sleep 100" not in left
        with pytest.raises(aio.AioRpcError, match="no such file"):
            await found.exec_sync("/no/such/command")
        with pytest.raises(aio.AioRpcError):
            await found.exec_sync()
        await found.stop()
        with pytest.raises(aio.AioRpcError, match="CONTAINER_EXITED"):
            await found.exec_sync("true")
        request = cri.ExecSyncRequest(container_id="none", cmd=["true"])
        await refused(found.stub.ExecSync(request), grpc.StatusCode.NOT_FOUND)


async def test_exec_sync_keeps_16_mib_at_most(cri_shim_runtime: Containerd) -> None:
    """containerd keeps as much and then can not send it."""
    async with running(cri_shim_runtime) as found:
        answer = await found.exec_sync("dd", "if=/dev/zero", "bs=1M", "count=20")
        assert len(answer.stdout) == 16 * 1024 * 1024
        assert answer.exit_code == 0


async def test_exec_streams(runtime: Containerd) -> None:
    async def test() -> None:
        async with running(runtime) as found:
            url = await found.exec_url(
                "sh", "-c", "cat; echo no >&2; exit 7", stdin=True, stdout=True, stderr=True
            )
            async with spdy(url, "stdin", "stdout", "stderr") as client:
                for _ in range(32):
                    await client.streams["stdin"].write(b"x" * 32768)
                await client.streams["stdin"].write(b"", last=True)
                assert await client.all_of("stdout") == b"x" * 32768 * 32
                assert await client.all_of("stderr") == b"no\n"
                status = await client.status()
            assert status["reason"] == "NonZeroExitCode"
            assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]
            with pytest.raises(ServiceUnavailable, match="404"):
                await upgrade(url, "v4.channel.k8s.io")

    await inside(runtime, test)


async def test_exec_with_a_terminal(runtime: Containerd) -> None:
    async def test() -> None:
        async with running(runtime) as found:
            url = await found.exec_url("sh", stdin=True, stdout=True, tty=True)
            async with spdy(url, "stdin", "stdout", "resize") as client:
                size = json.dumps({"Width": 97, "Height": 31}).encode()
                await client.streams["resize"].write(size)
                await asyncio.sleep(0.3)
                await client.streams["stdin"].write(b"stty size; echo $TERM; exit\n")
                said = await client.all_of("stdout")
                assert b"31 97" in said
                assert b"xterm" in said
                assert (await client.status())["status"] == "Success"

    await inside(runtime, test)


async def test_a_command_that_can_not_be_run(runtime: Containerd) -> None:
    async def test() -> None:
        async with running(runtime) as found:
            url = await found.exec_url("/no/such/command", stdout=True)
            async with spdy(url, "stdout") as client:
                status = await client.status()
            assert status["status"] == "Failure"
            assert "no such file or directory" in status["message"]
            with pytest.raises(aio.AioRpcError):
                await found.exec_url("true")

    await inside(runtime, test)


async def test_attach(runtime: Containerd) -> None:
    async def test() -> None:
        command = ["sh", "-c", "while read l; do echo got $l; done; echo end; exit 5"]
        async with running(runtime, command, stdin=True, stdin_once=True) as found:
            url = await found.attach_url(stdin=True, stdout=True, stderr=True)
            async with spdy(url, "stdin", "stdout", "stderr") as client:
                await client.streams["stdin"].write(b"hello\n")
                await client.streams["stdin"].write(b"", last=True)
                assert await client.all_of("stdout") == b"got hello\nend\n"
            assert (await found.ended()).exit_code == 5
            assert found.lines() == ["stdout F got hello", "stdout F end"]

    await inside(runtime, test)


async def _fetch(
    connection: Connection, name: str, port: int, sent: bytes = b""
) -> tuple[bytes, bytes]:
    headers = {"port": str(port), "requestID": name}
    error = await connection.open({"streamType": "error", **headers})
    await error.write(b"", last=True)
    data = await connection.open({"streamType": "data", **headers})
    if sent:
        await data.write(sent)
    got = b"".join([chunk async for chunk in data.read()])
    return got, b"".join([chunk async for chunk in error.read()])


async def test_ports(runtime: Containerd) -> None:
    async def test() -> None:
        command = ["sh", "-c", "while :; do echo hello | nc -l -p 7777; done"]
        async with running(runtime, command) as found:
            request = cri.PortForwardRequest(pod_sandbox_id=found.sandbox_id)
            url = (await found.stub.PortForward(request)).url
            connection = Connection(*await upgrade(url, "portforward.k8s.io"))
            async with asyncio.TaskGroup() as group:
                receiving = group.create_task(connection.run())
                for name in ("0", "1"):
                    got = b""
                    while not got:
                        got, _ = await _fetch(connection, name, 7777)
                    assert got == b"hello\n"
                got, problem = await _fetch(connection, "2", 9)
                assert got == b""
                assert b"9" in problem
                await connection.close()
                receiving.cancel()

    await inside(runtime, test)


async def test_logs_have_two_streams_and_a_form(runtime: Containerd) -> None:
    script = "echo one; echo two >&2; printf part; dd if=/dev/zero bs=20k count=1 2>/dev/null"
    async with running(runtime, ["sh", "-c", script]) as found:
        await found.ended()
        for line in found.log.read_bytes().splitlines():
            assert re.match(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\S+ std(out|err) [FP] ", line)
        lines = found.lines()
        assert lines.count("stdout F one") == 1
        assert lines.count("stderr F two") == 1
        assert [len(line) for line in lines if "part" in line] == [16384 + len("stdout P ")]


async def test_a_log_is_reopened(runtime: Containerd) -> None:
    command = ["sh", "-c", "while :; do echo tick; sleep 0.05; done"]
    async with running(runtime, command) as found:
        await wait_for(lambda: found.log.exists() and found.lines())
        found.log.rename(Path(f"{found.log}.1"))
        request = cri.ReopenContainerLogRequest(container_id=found.id)
        await found.stub.ReopenContainerLog(request)
        await wait_for(found.lines)
        await found.stop()
        with pytest.raises(aio.AioRpcError):
            await found.stub.ReopenContainerLog(request)


async def _usage(found: Running) -> cri.ContainerStats:
    request = cri.ContainerStatsRequest(container_id=found.id)
    return (await found.stub.ContainerStats(request)).stats


async def test_stats(runtime: Containerd) -> None:
    command = ["sh", "-c", "dd if=/dev/zero of=/big bs=1M count=3; while :; do :; done"]
    async with running(runtime, command) as found:
        stats = await _usage(found)
        assert stats.attributes.metadata.name == "main"
        assert stats.memory.working_set_bytes.value > 0
        before = stats.cpu.usage_core_nano_seconds.value
        while (await _usage(found)).cpu.usage_core_nano_seconds.value <= before:
            await asyncio.sleep(0.05)
        request = cri.ListContainerStatsRequest()
        request.filter.pod_sandbox_id = found.sandbox_id
        (one,) = (await found.stub.ListContainerStats(request)).stats
        assert one.attributes.id == found.id
        request.filter.label_selector["app"] = "other"
        assert not (await found.stub.ListContainerStats(request)).stats
        missing = cri.ContainerStatsRequest(container_id="none")
        await refused(found.stub.ContainerStats(missing), grpc.StatusCode.NOT_FOUND)


async def test_stats_of_pods_and_metrics(cri_shim_runtime: Containerd) -> None:
    """containerd 1.6 has them only behind a feature gate."""
    async with running(cri_shim_runtime) as found:
        request = cri.PodSandboxStatsRequest(pod_sandbox_id=found.sandbox_id)
        stats = (await found.stub.PodSandboxStats(request)).stats
        assert stats.linux.network.default_interface.name == "eth0"
        assert stats.linux.memory.working_set_bytes.value > 0
        assert stats.linux.process.process_count.value >= 2
        assert [one.attributes.id for one in stats.linux.containers] == [found.id]
        listed = await found.stub.ListPodSandboxStats(cri.ListPodSandboxStatsRequest())
        assert found.sandbox_id in {one.attributes.id for one in listed.stats}
        described = await found.stub.ListMetricDescriptors(cri.ListMetricDescriptorsRequest())
        keys = {one.name: len(one.label_keys) for one in described.descriptors}
        given = await found.stub.ListPodSandboxMetrics(cri.ListPodSandboxMetricsRequest())
        (pod,) = (one for one in given.pod_metrics if one.pod_sandbox_id == found.sandbox_id)
        both = [*pod.metrics, *pod.container_metrics[0].metrics]
        assert both
        for metric in both:
            assert len(metric.label_values) == keys[metric.name]
