"""The scheduler's process against the API server's, over mutual TLS with its own certificate."""

import asyncio
import contextlib
import json
import signal
import sys

import pytest

from pilothouse.ops.bench import server
from pilothouse.protos.mesh.v1 import scheduling_pb2 as pb
from pilothouse.protos.mesh.v1.scheduling_pb2_grpc import SchedulingStub
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import EVENTS, LEASES, NODES, PODS, SERVICE_ACCOUNTS
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.rpc.channel import open_channel

SECONDS_MAX = 30


class Stage:
    """An API server, and the scheduler that a test starts and stops."""

    def __init__(self, folder, process, objects):
        self.folder, self.process, self.objects = folder, process, objects
        self.socket = folder / "run" / "scheduler.sock"

    @contextlib.asynccontextmanager
    async def scheduler(self, *more, socket="scheduler.sock"):
        pki = self.process.pki
        flags = [
            f"--server={self.process.mesh}",
            f"--client-certificate={pki}/scheduler.crt",
            f"--client-key={pki}/scheduler.key",
            f"--certificate-authority={pki}/ca.crt",
            f"--socket={self.socket.with_name(socket)}",
            "--secure-port=0",
            *more,
        ]
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pilothouse.ops.cli", "scheduler", *flags
        )
        try:
            yield child
        finally:
            if child.returncode is None:
                child.send_signal(signal.SIGTERM)
                assert await child.wait() == 0

    async def node(self, name, cpu="4", **spec):
        amounts = {"cpu": cpu, "memory": "8Gi", "pods": "110"}
        labels = {"kubernetes.io/hostname": name}
        body = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name, "labels": labels}}
        await self.objects.create(NODES, "", body)
        status = {"capacity": amounts, "allocatable": amounts}
        await self.patch_node(name, {"spec": {"taints": None, **spec}})
        await self.patch_node(name, {"status": status}, subresource="status")

    async def patch_node(self, name, patch, subresource=""):
        await self.objects.patch(NODES, Key("", name), patch, subresource=subresource)

    async def pod(self, name, cpu="1", **spec):
        container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}
        body = {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"name": name},
            "spec": {"containers": [container], **spec},
        }
        await self.objects.create(PODS, "default", body)

    async def see(self, name):
        return json.loads(await self.objects.get(PODS, Key("default", name)))

    async def wait_node(self, name):
        async with asyncio.timeout(SECONDS_MAX):
            while not (node := (await self.see(name))["spec"].get("nodeName")):
                await asyncio.sleep(0.02)
        return node

    async def wait_refusal(self, name, part):
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                for condition in (await self.see(name))["status"].get("conditions", []):
                    if condition["type"] == "PodScheduled" and part in condition.get("message", ""):
                        return condition
                await asyncio.sleep(0.02)

    async def wait_event(self, reason):
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                items, _ = await self.objects.list(EVENTS)
                for event in map(json.loads, items):
                    if event["reason"] == reason:
                        return event
                await asyncio.sleep(0.02)


@pytest.fixture
async def stage(tmp_path):
    async with (
        server.running(tmp_path) as (process, _),
        open_channel(f"unix://{tmp_path}/run/apiserver.sock") as channel,
    ):
        objects = Objects(channel)
        account = {"kind": "ServiceAccount", "metadata": {"name": "default"}}
        await objects.create(SERVICE_ACCOUNTS, "default", account)
        yield Stage(tmp_path, process, objects)


async def test_a_pod_gets_a_node_and_an_event_says_so(stage):
    await stage.node("a")
    async with stage.scheduler():
        await stage.pod("one")
        assert await stage.wait_node("one") == "a"
        event = await stage.wait_event("Scheduled")
    assert event["message"] == "Successfully assigned default/one to a"
    assert event["source"] == {"component": "default-scheduler"}
    scheduled = {
        item["type"]: item["status"] for item in (await stage.see("one"))["status"]["conditions"]
    }
    assert scheduled["PodScheduled"] == "True"


async def test_a_refused_pod_says_why_and_is_bound_as_soon_as_the_node_may(stage):
    await stage.node("a", unschedulable=True)
    async with stage.scheduler():
        await stage.pod("one")
        sentence = "0/1 nodes are available: 1 node(s) were unschedulable."
        condition = await stage.wait_refusal("one", "unschedulable")
        assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
        assert condition["message"] == sentence
        assert (await stage.wait_event("FailedScheduling"))["message"] == sentence
        async with open_channel(f"unix://{stage.socket}") as channel:
            answer = await SchedulingStub(channel).Explain(pb.ExplainRequest(name="one"))
        assert (answer.summary, answer.nodes[0].fits) == (sentence, False)
        await stage.patch_node("a", {"spec": {"unschedulable": None}})
        assert await stage.wait_node("one") == "a"


async def test_capacity_is_kept_over_a_restart_and_freed_by_a_deletion(stage):
    await stage.node("a", cpu="2")
    async with stage.scheduler():
        await stage.pod("one", cpu="2")
        await stage.wait_node("one")
    async with stage.scheduler():
        await stage.pod("two", cpu="1")
        await stage.wait_refusal("two", "Insufficient cpu")
        await stage.objects.delete(PODS, Key("default", "one"), grace_period_seconds=0)
        assert await stage.wait_node("two") == "a"


async def test_many_pods_spread_evenly_and_foreign_ones_are_left_alone(stage):
    for name in "abc":
        await stage.node(name, cpu="10")
    async with stage.scheduler():
        await stage.pod("foreign", schedulerName="another")
        for number in range(30):
            await stage.pod(f"p{number}")
        nodes = [await stage.wait_node(f"p{number}") for number in range(30)]
    assert sorted(nodes.count(name) for name in "abc") == [10, 10, 10]
    assert "nodeName" not in (await stage.see("foreign"))["spec"]


async def test_a_killed_scheduler_is_followed_by_one_that_goes_on(stage):
    await stage.node("a")
    async with stage.scheduler() as child:
        await stage.pod("one")
        await stage.wait_node("one")
        child.kill()
        await child.wait()
        await stage.pod("two")
    async with stage.scheduler():
        assert await stage.wait_node("two") == "a"


async def test_of_two_schedulers_one_decides_and_the_other_follows_when_it_is_stopped(stage):
    times = [f"--leader-elect-{time}" for time in
             ("lease-duration=3s", "renew-deadline=2s", "retry-period=300ms")]  # fmt: skip
    lease = Key("kube-system", "kube-scheduler")

    async def holder():
        try:
            told = json.loads(await stage.objects.get(LEASES, lease))
        except NotFound:
            return ""
        return told["spec"]["holderIdentity"]

    async def eventually(holds):
        async with asyncio.timeout(SECONDS_MAX):
            while not (found := await holds()):
                await asyncio.sleep(0.02)
        return found

    await stage.node("a", cpu="10")
    async with stage.scheduler(*times) as first:
        first_name = await eventually(holder)
        async with stage.scheduler(*times, socket="second.sock"):
            await stage.pod("one")
            await stage.wait_node("one")
            first.send_signal(signal.SIGSTOP)
            await stage.pod("two")
            assert await stage.wait_node("two") == "a"
            assert await holder() != first_name
            first.send_signal(signal.SIGCONT)
            await stage.pod("three")
            await stage.wait_node("three")
        # The second gave the Lease back; the first has stood by and takes it.
        await stage.pod("four")
        await stage.wait_node("four")
        assert await holder() == first_name
    events = [json.loads(text) for text in (await stage.objects.list(EVENTS))[0]]
    assigned = [event for event in events if "Successfully assigned" in event["message"]]
    assert len({event["message"] for event in assigned}) == len(assigned)
    assert all(event["count"] == 1 for event in assigned)
