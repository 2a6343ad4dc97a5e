"""API server, controllers, scheduler, simulated nodes: one event loop, on a store in memory."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
from typing_extensions import override

from pilothouse.ops.flags import WELCOMING
from pilothouse.ops.pki import kubeconfig
from pilothouse.ops.pki.authority import Authority
from pilothouse.ops.pki.plan import control_plane
from pilothouse.ops.testing.control_plane import KUBECONFIG, READY
from pilothouse.services.apiserver import config as apiserver_config
from pilothouse.services.apiserver import wiring
from pilothouse.services.apiserver.ports import Store
from pilothouse.services.controllers import __main__ as controllers
from pilothouse.services.controllers import config as controllers_config
from pilothouse.services.kubelet.hollow import __main__ as simulation
from pilothouse.services.kubelet.hollow import config as simulation_config
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import NODES, SERVICE_ACCOUNTS
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.process import Ready
from pilothouse.services.runtime.rpc.channel import open_channel
from pilothouse.services.scheduler import __main__ as scheduler
from pilothouse.services.scheduler import config as scheduler_config
from pilothouse.services.store.embedded import open_store

BIRTH_SECONDS_MAX = 50
POD_CIDR = "10.192.0.0/10"
"""Room for 16,384 nodes, and none of it a Service's."""
_LOOK_SECONDS = 0.02


class _Up(Ready):
    """Readiness as an event."""

    def __init__(self) -> None:
        super().__init__()
        self.event = asyncio.Event()

    @override
    def ready(self) -> None:
        self.event.set()


async def serve(folder: Path, parent: int, nodes: int = 0) -> None:
    """Serve until cancelled, or until ``parent`` is no more: then ``folder`` goes with it."""
    with _scratch() as scratch, _orphaned(parent, folder), socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)
        port: int = listening.getsockname()[1]
        url = f"https://127.0.0.1:{port}"
        pki = scratch / "pki"
        _certify(pki)
        kubeconfig.write(folder / KUBECONFIG, cluster="pilothouse", server=url, pki=pki)
        server = apiserver_config.parse(
            [
                *(f"--{name}-dir={scratch / name}" for name in ("pki", "data", "run")),
                f"--secure-port={port}",
                f"--listen-fd={listening.detach()}",
                "--log-level=warning",
            ]
        )
        async with asyncio.TaskGroup() as group:
            up = _Up()
            group.create_task(wiring.run(server, _in_memory, up))
            await up.event.wait()
            rest = [f"--server=unix://{server.socket}", f"--run-dir={server.run_dir}"]
            managers = [
                *rest,
                WELCOMING,
                f"--root-ca-file={pki / 'ca.crt'}",
                f"--cluster-cidr={POD_CIDR}",
                f"--master={url}",
                "--secure-port=0",
                f"--client-certificate={pki / 'controllers.crt'}",
                f"--client-key={pki / 'controllers.key'}",
                f"--certificate-authority={pki / 'ca.crt'}",
            ]
            group.create_task(controllers.run(controllers_config.parse(managers), _Up()))
            group.create_task(scheduler.run(scheduler_config.parse(rest), _Up()))
            if nodes:
                hollow = [rest[0], f"--nodes={nodes}"]
                group.create_task(simulation.run(simulation_config.parse(hollow), _Up()))
            await _born(f"unix://{server.socket}", nodes)
            sys.stdout.write(f"{READY} {url}\n")
            sys.stdout.flush()


def _certify(pki: Path) -> None:
    authority = Authority.open(pki, SystemClock())
    for certificate in control_plane(()):
        authority.ensure(certificate)
    authority.ensure_service_account_key()


@contextlib.asynccontextmanager
async def _in_memory(_: apiserver_config.Config) -> AsyncIterator[Store]:
    store = await open_store(":memory:")
    try:
        yield store
    finally:
        await store.close()


async def _born(server: str, nodes: int) -> None:
    """Wait until a pod can be made, and run: the default account is there, nodes take pods."""
    async with asyncio.timeout(BIRTH_SECONDS_MAX), open_channel(server, None) as channel:
        objects = Objects(channel)
        while True:
            if await _has_account(objects) and (not nodes or await _open(objects) == nodes):
                return
            await asyncio.sleep(_LOOK_SECONDS)


async def _has_account(objects: Objects) -> bool:
    try:
        await objects.get(SERVICE_ACCOUNTS, Key("default", "default"))
    except NotFound:
        return False
    return True


async def _open(objects: Objects) -> int:
    """How many nodes have lost the taint of their first moments, and can give pods addresses."""
    texts, _ = await objects.list(NODES)
    found = [msgspec.json.decode(text, type=Node) for text in texts]
    return sum(not item.spec.taints and bool(item.spec.pod_cidr) for item in found)


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for keys and sockets. A short path: a socket's may have 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="pilothouse-"))
    try:
        (path / "run").mkdir()
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _orphaned(parent: int, folder: Path) -> Iterator[None]:
    """End this process in order when the parent ends without having ended it."""
    loop = asyncio.get_running_loop()
    handle = os.pidfd_open(parent)

    def end() -> None:
        loop.remove_reader(handle)
        shutil.rmtree(folder, ignore_errors=True)
        os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(handle, end)
    try:
        yield
    finally:
        loop.remove_reader(handle)
        os.close(handle)
