"""A cluster for a benchmark, a process each: who takes part, what it cost, what has come so far."""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from grpc import aio

from pilothouse.ops.bench import server
from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.objects import Key, Viewed
from pilothouse.services.machinery.resources import SERVICE_ACCOUNTS, Resource
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Objects, Selection
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.control import batches
from pilothouse.services.runtime.rpc.channel import open_channel

NAMESPACE = "default"
POD_CIDR = "10.192.0.0/10"
STILL_SECONDS_MAX = 120.0
"""Work of which nothing was seen for so long goes no further."""
ACCOUNT_SECONDS_MAX = 300.0
TELL_SECONDS = 5.0
NAMED_MAX = 5

T = TypeVar("T")
V = TypeVar("V", bound=Viewed)
Used = dict[str, float]


@dataclass(frozen=True, slots=True)
class Cluster:
    """An API server in ``folder`` and those that work beside it, by name."""

    folder: Path
    channel: aio.Channel
    objects: Objects
    running: dict[str, server.Process]

    def used(self) -> Used:
        """CPU seconds of each so far."""
        return {name: item.cpu_seconds() for name, item in self.running.items()}

    @contextlib.asynccontextmanager
    async def joined(self, verb: str, *flags: str) -> AsyncIterator[server.Process]:
        """One more process, ``pilothouse VERB``, while the block lasts."""
        run_dir = self.folder / "run"
        shared = [f"--server=unix://{run_dir}/apiserver.sock"]
        if verb != "simulate":
            shared.append(f"--run-dir={run_dir}")
        command = ["pilothouse.ops.cli", verb, *shared, *flags]
        async with server.component(self.folder, verb, command) as process:
            self.running[verb] = process
            yield process

    @contextlib.asynccontextmanager
    async def managed(self) -> AsyncIterator[None]:
        """With controllers and a scheduler, as soon as pods can be made."""
        flags = (f"--cluster-cidr={POD_CIDR}", f"--root-ca-file={self.folder}/pki/ca.crt")
        async with self.joined("controllers", *flags), self.joined("scheduler"):
            async with asyncio.timeout(ACCOUNT_SECONDS_MAX):
                await _wait_account(self.objects)
            yield


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[Cluster]:
    """A fresh API server alone; its folder goes with it."""
    with tempfile.TemporaryDirectory(prefix="pilothouse-bench-") as name:
        folder = Path(name)
        async with (
            server.running(folder) as (process, _),
            open_channel(f"unix://{folder}/run/apiserver.sock") as channel,
        ):
            yield Cluster(folder, channel, Objects(channel), {"server": process})


class StoodStill(TimeoutError):
    """What was waited for did not come, and nothing else did for a while."""


class Counted(Generic[V]):
    """Watches a kind, and knows how many objects ``is_counted``."""

    def __init__(
        self,
        objects: Objects,
        resource: Resource,
        view: type[V],
        is_counted: Callable[[V], bool],
        selection: Selection,
    ) -> None:
        self._is_counted = is_counted
        self._changed = asyncio.Event()
        self.keys: set[Key] = set()
        self.cache = Cache(objects, resource, view, selection)
        self.cache.on_change(self._see)

    def _see(self, old: V | None, new: V | None) -> None:
        if new is not None and self._is_counted(new):
            self.keys.add(new.metadata.key)
        elif old is not None:
            self.keys.discard(old.metadata.key)
        self._changed.set()

    def count_by(self, is_counted: Callable[[V], bool]) -> None:
        """Count others from now on."""
        self._is_counted = is_counted
        self.keys = {item.metadata.key for item in self.cache.values() if is_counted(item)}

    def sentence(self) -> str:
        """How many were counted."""
        kind = self.cache.resource.plural
        return f"{len(self.keys):,} of {len(self.cache):,} {kind}"

    async def wait(self, holds: Callable[[], bool]) -> None:
        """Until ``holds``; StoodStill names some that were not counted."""
        while not holds():
            self._changed.clear()
            try:
                async with asyncio.timeout(STILL_SECONDS_MAX):
                    await self._changed.wait()
            except TimeoutError:
                raise StoodStill(self._left()) from None

    def _left(self) -> str:
        keys = (item.metadata.key for item in self.cache.values())
        left = sorted(str(key) for key in keys if key not in self.keys)
        dots = ", …" if len(left) > NAMED_MAX else ""
        return f"{self.sentence()} were counted; not {', '.join(left[:NAMED_MAX])}{dots}"


def is_open(node: Node) -> bool:
    """Whether the scheduler may send pods there, and they get addresses."""
    ready = conditions.is_true(node.status.conditions, "Ready")
    return ready and not node.spec.taints and bool(node.spec.pod_cidr)


@contextlib.asynccontextmanager
async def followed(counted: Counted[V]) -> AsyncIterator[None]:
    """Its watch runs while the block lasts; that begins when the present state was seen."""
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(counted.cache.run())
        await counted.cache.wait_synced()
        yield
        watch.cancel()


@contextlib.asynccontextmanager
async def told(what: str, *sentences: Callable[[], str]) -> AsyncIterator[None]:
    """Long work says every few seconds how far it is."""
    began = SystemClock().monotonic()

    async def tell() -> None:
        while True:
            await SystemClock().sleep(TELL_SECONDS)
            seconds = SystemClock().monotonic() - began
            sofar = ", ".join(sentence() for sentence in sentences)
            sys.stderr.write(f"  {what}: {seconds:,.0f} s, {sofar}\n")

    async with asyncio.TaskGroup() as group:
        telling = group.create_task(tell())
        yield
        telling.cancel()


async def each(items: Iterable[T], act: Callable[[T], Awaitable[None]]) -> None:
    """Act on all, many at a time; the first refusal is raised."""
    failure = await batches.each(items, act)
    if failure is not None:
        raise failure


async def _wait_account(objects: Objects) -> None:
    """Until the controllers have made the default account."""
    while True:
        try:
            await objects.get(SERVICE_ACCOUNTS, Key(NAMESPACE, "default"))
        except NotFound:
            await SystemClock().sleep(0.05)
        else:
            return
