"""Jobs whose controller dies, starts anew, or has a double: each pod is counted once."""

import asyncio
import contextlib
import json

import pytest

from pilothouse.services.controllers import manager
from pilothouse.services.controllers.adapters import indexes
from pilothouse.services.controllers.adapters.workload import jobs
from pilothouse.services.controllers.adapters.world import World
from pilothouse.services.controllers.workload.job import JobController
from pilothouse.services.machinery.errors import ApiError, Conflict
from pilothouse.services.machinery.kinds.jobs import TRACKING, Job
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import CRON_JOBS, JOBS, PODS, SERVICE_ACCOUNTS
from pilothouse.services.runtime.client.objects import Objects, Selection
from pilothouse.services.runtime.clock import SystemClock

COMPLETIONS = 12
PARALLELISM = 4
LIFE_SECONDS = 0.25
JOB_LOOPS = frozenset({"job", "job-untracking"})
TEMPLATE = {
    "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox"}]},
}


class Workers:
    """Ends whatever runs, and remembers how."""

    def __init__(self, objects):
        self.objects, self.won, self.running_max = objects, set(), 0

    async def pods(self):
        found, _ = await self.objects.list(PODS, Selection("default"))
        return [json.loads(text) for text in found]

    async def run(self):
        while True:
            pods = await self.pods()
            alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            runs = [pod for pod in alive if pod["status"]["phase"] in ("Pending", "Running")]
            self.running_max = max(self.running_max, len(runs))
            for pod in runs:
                if pod["status"]["phase"] == "Running":
                    await self.end(pod)
            await asyncio.sleep(0.02)

    async def end(self, pod):
        name = pod["metadata"]["name"]
        patch = {"status": {"phase": "Succeeded"}}
        with contextlib.suppress(ApiError):
            await self.objects.patch(PODS, Key("default", name), patch, subresource="status")
            self.won.add(pod["metadata"]["uid"])


async def lead(channel, seconds=None):
    """The Job controllers with caches of their own, until cancelled or for a while."""
    world = World(Objects(channel), SystemClock())
    controllers = manager.build(world, manager.Settings("", None), JOB_LOOPS)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            group.create_task(world.run())
            group.create_task(manager.lead(world, controllers.values()))


@pytest.fixture
async def workers(kubelet):
    found = Workers(kubelet.objects)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(found.run()), group.create_task(kubelet.run())]
        yield found
        for task in tasks:
            task.cancel()


async def begin(objects):
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    await objects.create(SERVICE_ACCOUNTS, "default", account)
    spec = {"completions": COMPLETIONS, "parallelism": PARALLELISM, "template": TEMPLATE}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": spec}
    await objects.create(JOBS, "default", body)


async def status(objects):
    return json.loads(await objects.get(JOBS, Key("default", "j"))).get("status", {})


async def is_complete(objects):
    told = (await status(objects)).get("conditions") or ()
    return any(one["type"] == "Complete" for one in told)


async def wait_complete(objects):
    async with asyncio.timeout(30):
        while not await is_complete(objects):
            await asyncio.sleep(0.05)


async def test_a_controller_that_dies_again_and_again_counts_each_pod_once(channel, workers):
    await begin(workers.objects)
    for _ in range(8):
        await lead(channel, LIFE_SECONDS)
    async with asyncio.TaskGroup() as group:
        leading = group.create_task(lead(channel))
        await wait_complete(workers.objects)
        leading.cancel()
    ended = await status(workers.objects)
    assert ended["succeeded"] == COMPLETIONS == len(workers.won)
    assert workers.running_max <= PARALLELISM
    assert all(
        TRACKING not in pod["metadata"].get("finalizers", ()) for pod in await workers.pods()
    )


async def test_two_at_a_time_count_each_pod_once(channel, workers):
    await begin(workers.objects)
    async with asyncio.TaskGroup() as group:
        leading = [group.create_task(lead(channel)) for _ in range(2)]
        await wait_complete(workers.objects)
        for task in leading:
            task.cancel()
    ended = await status(workers.objects)
    assert COMPLETIONS <= ended["succeeded"] <= len(workers.won)
    assert (ended.get("failed", 0), ended["uncountedTerminatedPods"]) == (0, {})


async def test_who_sees_old_pods_counts_none_of_them_again(channel, kubelet):
    """Its Job is newer than its pods: one that is still to be counted there is counted already."""
    objects, key = kubelet.objects, Key("default", "j")
    await begin(objects)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(kubelet.run()), group.create_task(lead(channel))]
        workers = Workers(objects)
        while not (found := [pod for pod in await workers.pods() if is_running(pod)]):
            await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
    await workers.end(found[0])
    late = World(Objects(channel), SystemClock())
    owners, pods = late.cache(JOBS, Job), late.cache(PODS, Pod)
    for cache in (owners, pods):
        indexes.add_controller(cache)
    behind = jobs.Jobs(late, owners, pods)
    await follow(pods, lambda: True)
    await lead_until(channel, lambda told: told.get("succeeded") == 1)
    await follow(owners, lambda: owners.get(key).status.succeeded == 1)
    before = await status(objects)
    with pytest.raises(Conflict, match="has been counted"):
        await JobController(behind).reconcile(key)
    assert await status(objects) == before


def is_running(pod):
    return pod["status"]["phase"] == "Running"


async def follow(cache, seen):
    """Until that is seen, and no further."""
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        following = group.create_task(cache.run())
        await cache.wait_synced()
        while not seen():
            await asyncio.sleep(0.02)
        following.cancel()


async def lead_until(channel, seen):
    objects = Objects(channel)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        leading = group.create_task(lead(channel))
        while not seen(await status(objects)):
            await asyncio.sleep(0.02)
        leading.cancel()


async def test_one_start_of_a_cronjob_makes_one_job(cluster):
    spec = {
        "schedule": "0 0 1 1 *",
        "suspend": True,
        "jobTemplate": {"spec": {"template": TEMPLATE}},
    }
    await cluster.create(CRON_JOBS, {"metadata": {"name": "c"}, "spec": spec})
    past = {"status": {"lastScheduleTime": "2020-06-01T00:00:00Z"}}
    key = Key("default", "c")
    await cluster.objects.patch(CRON_JOBS, key, past, subresource="status")
    await cluster.patch(CRON_JOBS, "c", {"spec": {"suspend": False}})

    async def started():
        told = (await cluster.get(CRON_JOBS, "c")).get("status", {})
        return told.get("active")

    (active,) = await cluster.wait(started)
    (job,) = await cluster.list(JOBS)
    assert (active["name"], active["uid"]) == (job["metadata"]["name"], job["metadata"]["uid"])
    await cluster.patch(CRON_JOBS, "c", {"metadata": {"annotations": {"look": "again"}}})
    await cluster.objects.delete(JOBS, Key("default", active["name"]), uid=active["uid"])

    async def forgotten():
        told = (await cluster.get(CRON_JOBS, "c"))["status"]
        return "active" not in told and told["lastScheduleTime"] > "2020-06-01"

    await cluster.wait(forgotten)
    assert await cluster.list(JOBS) == []
