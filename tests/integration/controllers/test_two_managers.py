"""Two managers at one API server: one acts, the other stands by and takes over."""

import asyncio
import contextlib
import json
import signal
import sys
import uuid

from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import EVENTS, LEASES, PODS, REPLICA_SETS
from pilothouse.services.runtime.client.objects import Objects, Selection

PATIENCE_SECONDS = 20.0
LEASE = Key("kube-system", "kube-controller-manager")
WEB = Key("default", "web")
LABELS = {"app": "web"}
TIMES = ("lease-duration=3s", "renew-deadline=2s", "retry-period=300ms")
SET = {
    "apiVersion": "apps/v1",
    "kind": "ReplicaSet",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]},
        },
    },
}


@contextlib.asynccontextmanager
async def manager(folder):
    run = folder / uuid.uuid4().hex[:8]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pilothouse.services.controllers"),
        f"--server=unix://{folder}/bare.sock",
        f"--run-dir={run}",
        "--controllers=replicaset,serviceaccount",
        *(f"--leader-elect-{time}" for time in TIMES),
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Stage:
    """What managers act on: a ReplicaSet, its pods, and the Lease."""

    def __init__(self, channel):
        self.objects = Objects(channel)
        self.born = set()

    async def until(self, question):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (answer := await question()):
                await asyncio.sleep(0.02)
        return answer

    async def holder(self):
        """The identity of who leads, as soon as one does."""

        async def named():
            with contextlib.suppress(NotFound):
                lease = json.loads(await self.objects.get(LEASES, LEASE))
                return lease["spec"]["holderIdentity"]

        return await self.until(named)

    async def scale(self, replicas):
        patch = {"spec": {"replicas": replicas}}
        await self.objects.patch(REPLICA_SETS, WEB, patch)

    async def reaches(self, replicas):
        async def counted():
            seen = json.loads(await self.objects.get(REPLICA_SETS, WEB))["status"]
            return seen.get("replicas") == replicas

        await self.until(counted)

    async def count_births(self):
        async for batch in self.objects.watch(PODS):
            for event in batch:
                if event.type == "ADDED" and event.json:
                    self.born.add(json.loads(event.json)["metadata"]["uid"])

    async def all_born(self):
        return len(self.born) >= 8

    async def told(self):
        notes, _ = await self.objects.list(EVENTS, Selection("kube-system"))
        return {json.loads(text)["message"] for text in notes}


async def test_when_the_leader_is_stopped_the_other_acts_and_nothing_is_done_twice(
    channel, tmp_path
):
    stage = Stage(channel)
    async with asyncio.TaskGroup() as group, manager(tmp_path) as first:
        births = group.create_task(stage.count_births())
        first_name = await stage.holder()
        async with manager(tmp_path) as second:
            await stage.objects.create(REPLICA_SETS, "default", SET)
            await stage.reaches(3)
            first.send_signal(signal.SIGSTOP)
            await stage.scale(5)
            await stage.reaches(5)
            second_name = await stage.holder()
            assert second_name != first_name
            await stage.scale(7)
            first.send_signal(signal.SIGCONT)
            await stage.reaches(7)
            second.send_signal(signal.SIGTERM)
            assert await second.wait() == 0
        await stage.scale(8)
        await stage.reaches(8)
        assert await stage.holder() == first_name
        assert first.returncode is None
        await stage.until(stage.all_born)
        assert len(stage.born) == 8
        births.cancel()
    told = await stage.told()
    assert {f"{first_name} became leader", f"{second_name} became leader"} <= told
    assert f"{first_name} stopped leading" in told


async def test_a_manager_that_ends_gives_its_lease_back(channel, tmp_path):
    stage = Stage(channel)
    async with manager(tmp_path) as only:
        await stage.holder()
        only.send_signal(signal.SIGTERM)
        assert await only.wait() == 0
    left = json.loads(await stage.objects.get(LEASES, LEASE))["spec"]
    assert (left["holderIdentity"], left["leaseDurationSeconds"]) == ("", 1)
    assert left["leaseTransitions"] == 0
