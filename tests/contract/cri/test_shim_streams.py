"""What our CRI server has beyond the contract: WebSockets, restarts without loss, floods."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from grpc import aio
from kit.containerd import wait_for
from kit.cri_shim import CriShim
from kit.node import inside
from kit.rawcri import running

from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.services.runtime.spdy.connection import Connection, upgrade

FLOOD_BYTES = 64 * 1024 * 1024


def _resident_kilobytes(runtime: CriShim) -> int:
    status = Path(f"/proc/{runtime.shim.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


async def test_websockets(cri_shim_runtime: CriShim) -> None:
    async def test() -> None:
        async with running(cri_shim_runtime) as found, aiohttp.ClientSession() as session:
            url = await found.exec_url("sh", "-c", "cat; exit 4", stdin=True, stdout=True)
            protocols = ("v5.channel.k8s.io", "v4.channel.k8s.io")
            got: dict[int, bytes] = {}
            async with session.ws_connect(url, protocols=protocols) as socket:
                assert socket.protocol == "v5.channel.k8s.io"
                await socket.send_bytes(b"\x00hello")
                await socket.send_bytes(b"\xff\x00")
                async for message in socket:
                    channel, rest = message.data[0], message.data[1:]
                    got[channel] = got.get(channel, b"") + rest
            assert got[1] == b"hello"
            causes = json.loads(got[3])["details"]["causes"]
            assert causes == [{"reason": "ExitCode", "message": "4"}]
            async with session.get(url) as answer:
                assert answer.status == 404

    await inside(cri_shim_runtime, test)


async def test_who_goes_away_ends_his_command(cri_shim_runtime: CriShim) -> None:
    async def test() -> None:
        async with running(cri_shim_runtime) as found:
            url = await found.exec_url("sleep", "4321", stdin=True, stdout=True)
            connection = Connection(*await upgrade(url, "v4.channel.k8s.io"))
            for kind in ("error", "stdin", "stdout"):
                await connection.open({"streamType": kind})
            while b"sleep 4321" not in (await found.exec_sync("ps")).stdout:
                await asyncio.sleep(0.05)
            await connection.close()
            while b"sleep 4321" in (await found.exec_sync("ps")).stdout:
                await asyncio.sleep(0.05)

    await inside(cri_shim_runtime, test)


async def test_a_restart_loses_no_line(cri_shim_runtime: CriShim) -> None:
    script = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo line $i; sleep 0.01; done; sleep 999"
    async with running(cri_shim_runtime, ["sh", "-c", script]) as found:
        await wait_for(lambda: found.log.exists() and len(found.lines()) > 20)
        await asyncio.to_thread(cri_shim_runtime.kill_shim)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(cri_shim_runtime.start_shim)
        await wait_for(lambda: found.lines()[-1:] == ["stdout F line 200"])
        said = [line.split(" ", 2)[2] for line in found.lines()]
        # A line that was cut by the crash comes in two parts.
        assert "".join(said) == "".join(f"line {i}" for i in range(1, 201))


async def test_a_flood_is_written_and_not_kept(cri_shim_runtime: CriShim) -> None:
    noise = f"dd if=/dev/zero bs=64k count={FLOOD_BYTES // 65536} 2>/dev/null"
    script = f"{noise} | tr '\\0' x; exec sleep 99"
    before = _resident_kilobytes(cri_shim_runtime)
    async with running(cri_shim_runtime, ["sh", "-c", script]) as found:
        await wait_for(lambda: found.log.exists() and found.log.stat().st_size >= FLOOD_BYTES)
        assert _resident_kilobytes(cri_shim_runtime) - before < 32 * 1024
        assert (await found.exec_sync("echo", "alive")).stdout == b"alive\n"


async def test_very_long_commands(cri_shim_runtime: CriShim) -> None:
    async with running(cri_shim_runtime) as found:
        long = "x" * 100_000
        answer = await found.exec_sync("sh", "-c", "echo ${#0}", long)
        assert answer.stdout == b"100000\n"
        with pytest.raises(aio.AioRpcError):
            await found.exec_sync("echo", "x" * (10 * 1024 * 1024))
        assert (await found.exec_sync("echo", "alive")).stdout == b"alive\n"


async def test_a_flood_of_ports(cri_shim_runtime: CriShim) -> None:
    async def test() -> None:
        async with running(cri_shim_runtime) as found:
            request = cri.PortForwardRequest(pod_sandbox_id=found.sandbox_id)
            url = (await found.stub.PortForward(request)).url
            connection = Connection(*await upgrade(url, "portforward.k8s.io"))
            async with asyncio.TaskGroup() as group:
                receiving = group.create_task(connection.run())
                for number in range(2000):
                    headers = {"streamType": "error", "port": "9", "requestID": str(number)}
                    stream = await connection.open(headers)
                    await stream.write(b"", last=True)
                await connection.open({"streamType": "data", "port": "9", "requestID": "0"})
                await asyncio.sleep(0.2)
                await connection.close()
                receiving.cancel()
            assert (await found.exec_sync("echo", "alive")).stdout == b"alive\n"

    await inside(cri_shim_runtime, test)
