"""Stores for tests: a real etcd on loopback, and ours behind its gRPC door."""

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc

from pilothouse.services.runtime.rpc.server import Listen, serve
from pilothouse.services.store.embedded import EmbeddedStore, open_store
from pilothouse.services.store.rpc.services import services_of

ETCD = "/usr/bin/etcd"


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Etcd:
    """Debian's etcd over a directory, that can be killed, frozen and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._client, self._peer = free_ports(2)
        self.address = f"127.0.0.1:{self._client}"
        self.start()

    def start(self) -> None:
        """Begin, with what is there."""
        client, peer = self._client, self._peer
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [
                    ETCD,
                    f"--data-dir={self.folder}/data",
                    f"--listen-client-urls=http://127.0.0.1:{client}",
                    f"--advertise-client-urls=http://127.0.0.1:{client}",
                    f"--listen-peer-urls=http://127.0.0.1:{peer}",
                    f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                    f"--initial-cluster=default=http://127.0.0.1:{peer}",
                    "--logger=zap",
                    "--log-level=error",
                ],
                stdout=log,
                stderr=log,
            )
        _wait_healthy(client, self.process)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()


@contextlib.contextmanager
def etcd_process() -> Iterator[Etcd]:
    """An etcd with a fresh directory."""
    with tempfile.TemporaryDirectory(prefix="etcd-") as folder:
        etcd = Etcd(Path(folder))
        try:
            yield etcd
        finally:
            etcd.process.send_signal(signal.SIGCONT)
            etcd.stop()


@contextlib.contextmanager
def real_etcd() -> Iterator[str]:
    """Debian's etcd with a fresh directory; yields ``127.0.0.1:port``."""
    with etcd_process() as etcd:
        yield etcd.address


def _wait_healthy(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError("etcd ended at start")
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer,
        ):
            if b"true" in answer.read():
                return
        time.sleep(0.05)
    raise TimeoutError("etcd does not become healthy")


@contextlib.asynccontextmanager
async def served(
    path: str = ":memory:", *, progress_seconds: float = 600.0
) -> AsyncIterator[tuple[EmbeddedStore, str]]:
    """Our store and where its gRPC door is, ``127.0.0.1:port``."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    store = await open_store(path, compact_every_seconds=0)
    try:
        async with asyncio.TaskGroup() as group:
            services = services_of(store.keyspace, group, progress_seconds=progress_seconds)
            async with serve(services, [Listen(address, insecure=True)]):
                yield store, address
    finally:
        await store.close()


@contextlib.contextmanager
def store_process(folder: Path, *flags: str) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """``pilothouse store`` as a process on a free port; yields it and its address."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    command = [sys.executable, "-m", "pilothouse.services.store", "--data-dir", str(folder)]
    process = subprocess.Popen(
        [*command, "--listen", address, "--insecure", "--log-level", "warning", *flags]
    )
    try:
        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result(timeout=20)
        yield process, address
    finally:
        process.terminate()
        process.wait()
