"""All controllers of a process share one watch of each kind, as the API server counts them."""

import asyncio
import contextlib
import sys

from pilothouse.protos.mesh.v1 import controllers_pb2 as pb
from pilothouse.protos.mesh.v1.controllers_pb2_grpc import ControllersStub
from pilothouse.services.controllers import manager
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import SERVICE_ACCOUNTS
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.rpc.channel import open_channel

PATIENCE_SECONDS = 20.0
EVERYTHING = "*,bootstrapsigner,tokencleaner"


@contextlib.asynccontextmanager
async def running(folder):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pilothouse.services.controllers"),
        f"--server=unix://{folder}/bare.sock",
        f"--run-dir={folder}/run",
        f"--controllers={EVERYTHING}",
        "--cluster-cidr=10.244.0.0/16",
    )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def until(holds):
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await holds():
            await asyncio.sleep(0.02)


def watches(registry):
    """What is watched of each place in the store, of those where anything is."""
    cache, catalog = registry.parts.cache, registry.parts.catalog
    kinds = [kind for kind in catalog.all() if kind.persistent and not kind.stored_as]
    told = {kind.place: [item.selection for item in cache.of(kind).audience] for kind in kinds}
    return {place: selections for place, selections in told.items() if selections}


def _is_part(selection):
    return bool(selection.selects or selection.name or selection.namespace)


async def test_one_watch_for_each_kind(bare, channel, tmp_path):
    objects = Objects(channel)

    async def account():
        with contextlib.suppress(Exception):
            return await objects.get(SERVICE_ACCOUNTS, Key("default", "default"))

    async with running(tmp_path):
        await until(account)
        async with open_channel(f"unix://{tmp_path}/run/controllers.sock") as own:
            listed = await ControllersStub(own).List(pb.ListControllersRequest())
        seen = watches(bare.registry)
        assert len(listed.controllers) > 40
        assert len(seen) > 30
        whole = {kind: sum(not _is_part(item) for item in found) for kind, found in seen.items()}
        assert set(whole.values()) == {1}
        # Of all of these only the metadata is kept, of a few that are looked into also the data.
        parts = {kind for kind, found in seen.items() if len(found) > 1}
        assert parts == {"configmaps", "secrets"}
        for kind in parts:
            assert len(set(map(str, seen[kind]))) == len(seen[kind]) <= 3
        assert {"pods", "nodes", "replicasets", "services"} <= seen.keys()
        assert len(manager.CONTROLLERS) > len(listed.controllers)
