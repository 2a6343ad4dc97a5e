"""An API server's process, and candidates that each write under a name of their own."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pilothouse.ops.bench import server
from pilothouse.ops.pki.authority import Authority
from pilothouse.ops.pki.plan import Certificate
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    NODES,
    PODS,
    SERVICE_ACCOUNTS,
)
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.rpc.channel import open_channel

ALL = bool(os.environ.get("PILOTHOUSE_TEST_ALL"))
SECONDS_MAX = 60.0
WEB = Key("default", "web")
LABELS = {"app": "web"}


def pytest_configure(config):
    config.addinivalue_line("markers", "long: runs with ops/test --all only")


def pytest_collection_modifyitems(items):
    for item in items:
        if not ALL and item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="long: ops/test --all"))


@dataclass
class Component:
    """A process that stands for election; ``name`` is whom it writes as."""

    name: str
    process: asyncio.subprocess.Process
    socket: Path

    @property
    def identity(self):
        """By which the Lease knows it: the mark beside its socket says so."""
        return self.socket.with_suffix(".leader").read_text()


class Stage:
    """What candidates act on, and who did what: pods by who made them, in the order they came."""

    def __init__(self, folder, objects, process, serving):
        self.folder, self.objects, self.mesh = folder, objects, process.mesh
        self._pid = process.pid
        self.private = f"unix://{folder}/run/apiserver.sock"
        self._serving = serving
        self.makers = []
        self.uids = set()
        self.authority = Authority.open(folder / "pki", SystemClock())

    def tell(self, figure):
        """For people: pytest -s shows it."""
        sys.stdout.write(f"{figure}\n")

    async def outage(self, seconds):
        """The API server goes, and comes back at its private socket with what it had."""
        await self._serving.aclose()
        await asyncio.sleep(seconds)
        await self._serving.enter_async_context(server.running(self.folder))

    async def standstill(self, seconds):
        """The API server says nothing, and goes on."""
        os.kill(self._pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(self._pid, signal.SIGCONT)

    @contextlib.asynccontextmanager
    async def component(self, service, name, *more, mesh=""):
        self.authority.ensure(Certificate(name, name, "system:masters", ("client", "server")))
        pki, socket = self.folder / "pki", self.folder / name / f"{service}.sock"
        flags = [
            f"--server={mesh or self.mesh}",
            f"--client-certificate={pki}/{name}.crt",
            f"--client-key={pki}/{name}.key",
            f"--certificate-authority={pki}/ca.crt",
            f"--socket={socket}",
            "--secure-port=0",
            *more,
        ]
        with (self.folder / f"{name}.log").open("wb") as log:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "pilothouse.ops.cli", service, *flags), stderr=log
            )
        try:
            yield Component(name, child, socket)
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    async def until(self, question):
        async with asyncio.timeout(SECONDS_MAX):
            while not (answer := await question()):
                await asyncio.sleep(0.02)
        return answer

    async def leader(self, lease, candidates):
        """Which of these leads, as soon as one does."""

        async def found():
            with contextlib.suppress(NotFound, FileNotFoundError):
                told = json.loads(await self.objects.get(LEASES, Key("kube-system", lease)))
                holder = told["spec"]["holderIdentity"]
                return next((item for item in candidates if item.identity == holder), None)

        return await self.until(found)

    async def watch_births(self):
        async for batch in self.objects.watch(PODS):
            for event in batch:
                if event.type == "ADDED" and event.json:
                    metadata = json.loads(event.json)["metadata"]
                    self.uids.add(metadata["uid"])
                    self.makers.append(metadata["managedFields"][0]["manager"])

    async def deploy(self, replicas):
        container = {"name": "web", "image": "web:1"}
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": {"containers": [container]}},
        }
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": WEB.name},
            "spec": spec,
        }
        await self.objects.create(DEPLOYMENTS, WEB.namespace, body)

    async def scale(self, replicas):
        await self.objects.patch(DEPLOYMENTS, WEB, {"spec": {"replicas": replicas}})

    async def born(self, count):
        async def counted():
            return len(self.uids) >= count

        await self.until(counted)

    async def made_by(self, name):
        async def found():
            return name in self.makers

        await self.until(found)

    async def settled(self, replicas):
        """The Deployment says that it has them."""

        async def counted():
            seen = json.loads(await self.objects.get(DEPLOYMENTS, WEB))
            return seen.get("status", {}).get("replicas") == replicas

        await self.until(counted)

    async def bound(self, count):
        async def counted():
            pods, _ = await self.objects.list(PODS)
            return sum(b'"nodeName"' in text.encode() for text in pods) == count

        await self.until(counted)

    async def assignments(self, count):
        """The events that tell of pods that got nodes, once there are so many."""

        async def told():
            notes = [json.loads(text) for text in (await self.objects.list(EVENTS))[0]]
            found = [note for note in notes if "Successfully assigned" in note["message"]]
            return found if len(found) >= count else None

        return await self.until(told)

    async def node(self, name):
        amounts = {"cpu": "1000", "memory": "1000Gi", "pods": "10000"}
        body = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name}}
        await self.objects.create(NODES, "", body)
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "so"}
        status = {"capacity": amounts, "allocatable": amounts, "conditions": [ready]}
        await self.objects.patch(NODES, Key("", name), {"spec": {"taints": None}})
        await self.objects.patch(NODES, Key("", name), {"status": status}, subresource="status")

    async def account(self):
        async def found():
            with contextlib.suppress(NotFound):
                return await self.objects.get(SERVICE_ACCOUNTS, Key("default", "default"))

        await self.until(found)


@pytest.fixture
async def stage(tmp_path):
    async with (
        contextlib.AsyncExitStack() as serving,
        open_channel(f"unix://{tmp_path}/run/apiserver.sock") as channel,
    ):
        process, _ = await serving.enter_async_context(server.running(tmp_path))
        yield Stage(tmp_path, Objects(channel), process, serving)
