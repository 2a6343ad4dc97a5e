"""An API server of its own for a benchmark: a process, its folder and what it has used."""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from pilothouse.ops.pki.authority import Authority
from pilothouse.ops.pki.plan import control_plane
from pilothouse.services.runtime.clock import SystemClock

READY_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 10.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """A running API server: where it answers, its certificates, and what it costs."""

    pid: int
    url: str
    pki: Path
    mesh: str

    def cpu_seconds(self) -> float:
        """CPU time of the process so far, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    def resident_mb(self) -> float:
        """Resident memory in MB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise RuntimeError(f"process {self.pid} has no resident memory")


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Process, float]]:
    """Start an API server on loopback with its state in ``folder``; it and its start in seconds."""
    clock = SystemClock()
    pki = folder / "pki"
    authority = Authority.open(pki, clock)
    for certificate in control_plane(("127.0.0.1",)):
        authority.ensure(certificate)
    authority.ensure_service_account_key()
    port, mesh_port = _free_port(), _free_port()
    process = Process(0, f"https://127.0.0.1:{port}", pki, f"127.0.0.1:{mesh_port}")
    with (folder / "apiserver.log").open("wb") as log:
        began = clock.monotonic()
        child = await asyncio.create_subprocess_exec(
            *_command(folder, pki, port, mesh_port), stdin=asyncio.subprocess.DEVNULL, stderr=log
        )
    try:
        await _wait_ready(process, clock, child)
        yield (
            Process(child.pid, process.url, pki, process.mesh),
            clock.monotonic() - began,
        )
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS_MAX):
            await child.wait()


@contextlib.asynccontextmanager
async def component(folder: Path, name: str, command: Sequence[str]) -> AsyncIterator[Process]:
    """Another process beside it, run as ``python -m command…``; its log is in ``folder``."""
    with (folder / f"{name}.log").open("wb") as log:
        child = await asyncio.create_subprocess_exec(sys.executable, "-m", *command, stderr=log)
    try:
        yield Process(child.pid, "", folder, "")
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(signal.SIGTERM)
        await child.wait()


def _command(folder: Path, pki: Path, port: int, mesh_port: int) -> list[str]:
    flags = {
        "bind-address": "127.0.0.1",
        "secure-port": str(port),
        "mesh-address": f"127.0.0.1:{mesh_port}",
        "advertise-address": "127.0.0.1",
        "data-dir": str(folder / "data"),
        "run-dir": str(folder / "run"),
        "client-ca-file": str(pki / "ca.crt"),
        "tls-cert-file": str(pki / "apiserver.crt"),
        "tls-private-key-file": str(pki / "apiserver.key"),
        "service-account-key-file": str(pki / "sa.pub"),
        "service-account-signing-key-file": str(pki / "sa.key"),
        "kubelet-client-certificate": str(pki / "apiserver-kubelet-client.crt"),
        "kubelet-client-key": str(pki / "apiserver-kubelet-client.key"),
        "kubelet-certificate-authority": str(pki / "ca.crt"),
    }
    command = [sys.executable, "-m", "pilothouse.ops.cli", "apiserver"]
    return command + [f"--{name}={value}" for name, value in flags.items()]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _wait_ready(
    process: Process, clock: SystemClock, child: asyncio.subprocess.Process
) -> None:
    """Until /readyz answers 200; asked often, because the time until then is a figure."""
    context = ssl.create_default_context(cafile=str(process.pki / "ca.crt"))
    async with asyncio.timeout(READY_SECONDS_MAX), aiohttp.ClientSession() as session:
        while child.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(process.url + "/readyz", ssl=context) as answer:
                    if answer.ok:
                        return
            await clock.sleep(0.01)
    raise RuntimeError(f"the API server ended with {child.returncode}; see apiserver.log")
