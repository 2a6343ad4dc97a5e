"""Durable puts with many clients: our store and a real etcd, told the same by the same client.

Both serve on loopback from the same disk, one after the other; the in-process figure is what the
API server pays. CPU is that of the serving process alone, except in-process, where it is all.
"""

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from pilothouse.ops.bench.__main__ import table
from pilothouse.ops.bench.rows import Row
from pilothouse.services.apiserver.adapters.etcd import open_etcd
from pilothouse.services.machinery.storage import Unavailable
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.store.embedded import open_store

CLIENTS = 32
PUTS = 9_600
PUTS_ALONE = 600
VALUE_BYTES = 1_000
START_SECONDS_MAX = 20.0
CPU_GOAL_MICROSECONDS = 40.0
ETCD = "/usr/bin/etcd"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

Put = Callable[[bytes, bytes, int], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one store: puts per second with many clients and with one, CPU and memory."""

    rate: float
    rate_alone: float
    cpu_microseconds: float
    resident_mb: float


async def run() -> list[Row]:
    """Measure and compare; about half a minute."""
    with tempfile.TemporaryDirectory(prefix="bench-store-") as folder:
        inside = await _inside(Path(folder) / "inside")
        ours = await _over_grpc(_our_command, Path(folder) / "ours")
        theirs = await _over_grpc(_etcd_command, Path(folder) / "etcd")
    clients = f"{CLIENTS} clients, {VALUE_BYTES} bytes, created then updated"
    return [
        Row("put in-process", "puts/s", inside.rate, theirs.rate, note=clients),
        Row(
            "CPU of a put in-process",
            "us",
            inside.cpu_microseconds,
            theirs.cpu_microseconds,
            CPU_GOAL_MICROSECONDS,
            "all of ours against etcd's server alone",
        ),
        Row("put in-process, one writer", "puts/s", inside.rate_alone, theirs.rate_alone),
        Row("put over gRPC", "puts/s", ours.rate, theirs.rate, note="the client takes one core"),
        Row("server CPU of a put over gRPC", "us", ours.cpu_microseconds, theirs.cpu_microseconds),
        Row("put over gRPC, one client", "puts/s", ours.rate_alone, theirs.rate_alone),
        Row("memory of the server then", "MB", ours.resident_mb, theirs.resident_mb),
    ]


async def _inside(folder: Path) -> Figures:
    store = await open_store(str(folder / "db"))
    clock = SystemClock()
    try:

        async def put(key: bytes, value: bytes, expect: int) -> int:
            return await store.put(key, value, expect=expect)

        alone = await _load(put, clock, 1, PUTS_ALONE)
        before = _cpu_seconds(os.getpid())
        rate = await _load(put, clock, CLIENTS, PUTS)
        cpu = (_cpu_seconds(os.getpid()) - before) / PUTS * 1e6
        return Figures(rate, alone, cpu, _resident_mb(os.getpid()))
    finally:
        await store.close()


async def _over_grpc(command: Callable[[Path, int, int], list[str]], folder: Path) -> Figures:
    clock = SystemClock()
    async with _process(command, folder) as (pid, port):
        client = await open_etcd([f"http://127.0.0.1:{port}"])
        try:

            async def put(key: bytes, value: bytes, expect: int) -> int:
                return await client.put(key, value, expect=expect)

            await _wait_ready(client.revision, clock)
            alone = await _load(put, clock, 1, PUTS_ALONE)
            before = _cpu_seconds(pid)
            rate = await _load(put, clock, CLIENTS, PUTS)
            cpu = (_cpu_seconds(pid) - before) / PUTS * 1e6
            return Figures(rate, alone, cpu, _resident_mb(pid))
        finally:
            await client.close()


async def _load(put: Put, clock: SystemClock, clients: int, puts: int) -> float:
    """Each client creates a key and updates it, over and over; puts per second."""
    value = os.urandom(VALUE_BYTES)

    async def write(client: int) -> None:
        for number in range(puts // clients // 2):
            key = b"/registry/pods/bench/%d-%d-%d" % (clients, client, number)
            await put(key, value, await put(key, value, 0))

    began = clock.monotonic()
    async with asyncio.TaskGroup() as group:
        for client in range(clients):
            group.create_task(write(client))
    return puts / (clock.monotonic() - began)


@contextlib.asynccontextmanager
async def _process(
    command: Callable[[Path, int, int], list[str]], folder: Path
) -> AsyncIterator[tuple[int, int]]:
    await asyncio.to_thread(folder.mkdir)
    port, peer_port = _free_ports()
    with (folder / "log").open("wb") as log:
        child = await asyncio.create_subprocess_exec(
            *command(folder, port, peer_port), stdout=log, stderr=log
        )
    try:
        yield child.pid, port
    finally:
        child.terminate()
        await child.wait()


def _our_command(folder: Path, port: int, peer_port: int) -> list[str]:
    del peer_port  # A store of ours has no peers.
    command = [sys.executable, "-m", "pilothouse.services.store", "--insecure"]
    return [*command, f"--data-dir={folder}", f"--listen=127.0.0.1:{port}"]


def _etcd_command(folder: Path, port: int, peer_port: int) -> list[str]:
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    return [
        ETCD,
        f"--data-dir={folder}/data",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--logger=zap",
        "--log-level=error",
    ]


async def _wait_ready(revision: Callable[[], Awaitable[int]], clock: SystemClock) -> None:
    until = clock.monotonic() + START_SECONDS_MAX
    while clock.monotonic() < until:
        with contextlib.suppress(Unavailable):
            await revision()
            return
        await clock.sleep(0.1)
    raise TimeoutError("the server does not answer")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"process {pid} has no resident memory")


if __name__ == "__main__":
    sys.stdout.write(table(asyncio.run(run())) + "\n")
