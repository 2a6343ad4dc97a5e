"""Many Deployments at once come, are rolled over and go: nothing is lost, nothing stays behind."""

import asyncio
import os

import msgspec
import pytest

from pilothouse.ops.bench import controllers
from pilothouse.protos.mesh.v1 import controllers_pb2 as pb
from pilothouse.protos.mesh.v1.controllers_pb2_grpc import ControllersStub
from pilothouse.services.machinery.kinds.workloads import ReplicaSet
from pilothouse.services.machinery.resources import PODS, REPLICA_SETS
from pilothouse.services.runtime.rpc.channel import open_channel

ALL = pytest.mark.skipif(not os.environ.get("PILOTHOUSE_TEST_ALL"), reason="with ops/test --all")


async def settled(bench):
    """Until no controller has anything to do; none has failed at anything by then."""
    async with (
        open_channel(f"unix://{bench.cluster.folder}/run/controllers.sock") as channel,
        asyncio.timeout(60),
    ):
        while True:
            said = await ControllersStub(channel).List(pb.ListControllersRequest())
            if not any(item.queued or item.working or item.failures for item in said.controllers):
                return
            await asyncio.sleep(0.1)


async def sizes(bench):
    """Of all ReplicaSets that have pods, by what they are to have."""
    found = [
        msgspec.json.decode(text, type=ReplicaSet)
        for text in (await bench.cluster.objects.list(REPLICA_SETS))[0]
    ]
    return [(item.spec.replicas, item.status.replicas) for item in found if item.spec.replicas]


@pytest.mark.parametrize("count", [100, pytest.param(2_000, marks=ALL)])
async def test_all_converge_and_then_there_is_nothing_to_do(count):
    size = controllers.parse([f"--deployments={count}"])
    async with controllers.opened(size) as bench:
        await bench.create()
        await settled(bench)
        looked = await controllers.look_at_all(bench.cluster.channel)
        assert looked.keys > 2 * count
        assert looked.writes == 0
        await bench.roll()
        await settled(bench)
        assert await sizes(bench) == [(size.replicas, size.replicas)] * count
        await bench.delete()
        await settled(bench)
        assert not (await bench.cluster.objects.list(REPLICA_SETS))[0]
        assert not (await bench.cluster.objects.list(PODS))[0]
