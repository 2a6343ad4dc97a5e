"""All controllers against the real API server on a ``:memory:`` store, over its gRPC door."""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from pilothouse.services.apiserver.allocation.allocator import Allocator
from pilothouse.services.apiserver.bootstrap import bootstrap
from pilothouse.services.apiserver.cache.cache import Cache
from pilothouse.services.apiserver.chain.accounts import Accounts
from pilothouse.services.apiserver.chain.authorization import Authorization
from pilothouse.services.apiserver.chain.bindings import LiveBindings
from pilothouse.services.apiserver.chain.tokens import Signer, Verifier
from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.kinds.schemas import published_schemas
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.apiserver.rpc import objects as door
from pilothouse.services.controllers import config, manager
from pilothouse.services.controllers.adapters.world import World
from pilothouse.services.controllers.rpc import controllers as rpc
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import ApiError, NotFound, ServiceUnavailable
from pilothouse.services.machinery.kinds import affinity, pods
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import NODES, PODS, SERVICE_ACCOUNTS
from pilothouse.services.runtime.client.objects import Objects, Selection
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.rpc.channel import open_channel
from pilothouse.services.runtime.rpc.server import Listen, serve
from pilothouse.services.store.embedded import open_store

PATIENCE_SECONDS = 20.0


def meant_for(pod):
    """The node that a daemon's pod is made for; empty for others."""
    spec = msgspec.json.decode(json.dumps(pod["spec"]), type=pods.Spec)
    return affinity.named_node(spec.affinity)


@dataclass
class Kubelet:
    """Binds every pod to ``node`` and reports it running; ends it when it is deleted.

    Those on ``dead`` nodes it does not end.
    """

    objects: Objects
    node: str = "node-1"
    dead: set = field(default_factory=set)
    unready: set = field(default_factory=set)
    seen: dict = field(default_factory=dict)

    async def run(self):
        while True:
            with contextlib.suppress(ApiError):
                async for batch in self.objects.watch(PODS):
                    for event in batch:
                        if event.type in {"ADDED", "MODIFIED"}:
                            with contextlib.suppress(ApiError):
                                await self._see(json.loads(event.json))
            await asyncio.sleep(0.05)

    async def _see(self, pod):
        metadata = pod["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        if "deletionTimestamp" in metadata:
            if pod["spec"].get("nodeName") in self.dead:
                return
            await self.objects.delete(PODS, key, grace_period_seconds=0)
            return
        if pod["metadata"]["uid"] in self.seen:
            return
        if not pod["spec"].get("nodeName"):
            body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": key.name},
                    "target": {"kind": "Node", "name": meant_for(pod) or self.node}}  # fmt: skip
            await self.objects.create(
                PODS, key.namespace, body, name=key.name, subresource="binding"
            )
            return
        self.seen[metadata["uid"]] = address = f"10.244.0.{len(self.seen) + 1}"
        image = pod["spec"]["containers"][0]["image"]
        await self.report(key, address=address, ready=image not in self.unready)

    async def report(self, key, *, address=None, ready=True):
        now = timestamps.render(SystemClock().now())
        told = {"type": "Ready", "status": str(ready), "lastTransitionTime": now}
        status = {"phase": "Running", "conditions": [told]}
        if address:
            status |= {"podIP": address, "podIPs": [{"ip": address}]}
        await self.objects.patch(
            PODS, key, {"status": status}, subresource="status", strategic=True
        )


@dataclass
class Running:
    """The door of a cluster in which all controllers run."""

    objects: Objects
    kubelet: Kubelet
    socket: str
    door: "Door"

    async def get(self, resource, name, namespace="default"):
        return json.loads(await self.objects.get(resource, Key(namespace, name)))

    async def list(self, resource, namespace="default", **selection):
        found, _ = await self.objects.list(resource, Selection(namespace, **selection))
        return [json.loads(text) for text in found]

    async def create(self, resource, body, namespace="default"):
        document = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        return json.loads(await self.objects.create(resource, namespace, document))

    async def patch(self, resource, name, patch, namespace="default"):
        await self.objects.patch(resource, Key(namespace, name), patch)

    async def wait(self, question):
        """What the coroutine function answers once that is true; fails loudly when it never is."""
        answer = None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not answer:
                try:
                    answer = await question()
                except (NotFound, ServiceUnavailable):
                    answer = None
                if not answer:
                    await asyncio.sleep(0.01)
        return answer


@dataclass
class Door:
    """The gRPC door of an API server, which can be shut and opened again."""

    registry: Registry
    socket: str
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def open(self):
        services = [door.service(self.registry, self.registry.parts.catalog)]
        await self.stack.enter_async_context(serve(services, [Listen(self.socket)]))

    async def shut(self):
        await self.stack.aclose()


@contextlib.asynccontextmanager
async def apiserver(socket):
    """The real request path on a store in memory, at a unix socket."""
    clock, catalog = SystemClock(), builtin_catalog()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    storage = await open_store(":memory:", clock=clock)
    cache = Cache(storage, catalog, clock)
    await cache.load()
    accounts = Accounts(cache, Signer(key), Verifier([key.public_key()]), clock)
    parts = Parts(
        storage=storage,
        cache=cache,
        catalog=catalog,
        schemas=published_schemas(),
        authorizer=Authorization(cache, LiveBindings(cache)),
        tokens=accounts,
        clock=clock,
        allocator=Allocator(),
    )
    registry = Registry(parts)
    async with asyncio.TaskGroup() as group:
        following = group.create_task(cache.run())
        await bootstrap(registry, ["10.90.0.1"], 6443, [])
        opened = Door(registry, socket)
        await opened.open()
        yield opened
        await opened.shut()
        following.cancel()
    await storage.close()


@pytest.fixture
def grace_seconds():
    """How long a node may be silent: node-1 of these tests has no kubelet that is heard of."""
    return 600


@pytest.fixture
async def cluster(tmp_path, grace_seconds):
    server, own = str(tmp_path / "api.sock"), str(tmp_path / "controllers.sock")
    authority = tmp_path / "ca.crt"
    authority.write_text("the authority")
    flags = [
        f"--server=unix://{server}",
        "--cluster-cidr=10.244.0.0/16",
        f"--root-ca-file={authority}",
        f"--node-monitor-grace-period={grace_seconds}",
    ]
    told = config.parse(flags)
    async with apiserver(server) as opened, open_channel(told.server) as channel:
        objects = Objects(channel)
        world = World(objects, SystemClock())
        controllers = manager.build(world, told.settings, told.controllers)
        kubelet = Kubelet(objects)
        async with (
            serve([rpc.service(controllers)], [Listen(own)]),
            asyncio.TaskGroup() as group,
        ):
            tasks = [
                group.create_task(world.run()),
                group.create_task(manager.lead(world, controllers.values())),
                group.create_task(kubelet.run()),
            ]
            running = Running(objects, kubelet, own, opened)
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}}
            await objects.create(NODES, "", node)
            await running.wait(lambda: running.get(SERVICE_ACCOUNTS, "default"))
            yield running
            for task in tasks:
                task.cancel()


@pytest.fixture
async def bare(tmp_path):
    """The door of an API server of its own, without any controller."""
    async with apiserver(str(tmp_path / "bare.sock")) as opened:
        yield opened


@pytest.fixture
async def channel(bare):
    """To that API server."""
    async with open_channel(f"unix://{bare.socket}") as opened:
        yield opened


@pytest.fixture
def kubelet(channel):
    """One for the pods of that server, not running yet."""
    return Kubelet(Objects(channel))
