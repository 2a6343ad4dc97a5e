"""The simulation as a process of its own, over TCP and mutual TLS."""

import asyncio
import contextlib
import json
import signal
import sys
from types import NoneType

import pytest

from pilothouse.ops.bench import server
from pilothouse.services.machinery.errors import AlreadyExists, BadRequest, Invalid, NotFound
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import EVENTS, LEASES, NODES, PODS, SERVICE_ACCOUNTS
from pilothouse.services.runtime.client.gathered import GatheredObjects
from pilothouse.services.runtime.client.objects import Birth, Change, Objects
from pilothouse.services.runtime.rpc.channel import open_channel

NODE_COUNT = 5
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "there", "namespace": "kube-system"},
    "spec": {
        "nodeName": "fake-7",
        "containers": [{"name": "c", "image": "i"}],
        "automountServiceAccountToken": False,
    },
}


async def eventually(ask, holds):
    """The first answer that holds."""
    async with asyncio.timeout(30):
        while not holds(answer := await ask()):
            await asyncio.sleep(0.05)
    return answer


@contextlib.asynccontextmanager
async def simulating(process: server.Process, *flags: str):
    pki = process.pki
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pilothouse.ops.cli", "simulate", f"--nodes={NODE_COUNT}",
        f"--server={process.mesh}", f"--client-certificate={pki / 'admin.crt'}",
        f"--client-key={pki / 'admin.key'}", f"--certificate-authority={pki / 'ca.crt'}", *flags,
    )  # fmt: skip
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def patches_in_one_message_are_judged_alone(objects):
    for name in ("one", "two"):
        lease = {"metadata": {"name": name}, "spec": {"holderIdentity": name}}
        await objects.create(LEASES, "kube-node-lease", lease)
    said = {"one": {"leaseDurationSeconds": 7}, "none": {}, "two": {"leaseDurationSeconds": -1}}
    good, absent, bad = await objects.patch_many(
        [
            Change(LEASES, Key("kube-node-lease", name), {"spec": spec})
            for name, spec in said.items()
        ]
    )
    assert json.loads(good)["spec"] == {"holderIdentity": "one", "leaseDurationSeconds": 7}
    assert isinstance(absent, NotFound)
    assert isinstance(bad, Invalid)
    assert "leaseDurationSeconds" in bad.message
    many = [Change(LEASES, Key("kube-node-lease", "one"), {})] * 257
    with pytest.raises(BadRequest, match="at most 256"):
        await objects.patch_many(many)


async def creations_in_one_message_are_judged_alone(objects):
    def birth(name, **said):
        return Birth(EVENTS, "default", {"metadata": {"name": name}, **said})

    about = {"involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}}
    outcomes = await objects.create_many(
        [birth("one", **about), birth("one", **about), birth("No"), birth("two", **about)]
    )
    assert [type(outcome) for outcome in outcomes] == [NoneType, AlreadyExists, Invalid, NoneType]
    assert "metadata.name" in outcomes[2].message
    with pytest.raises(BadRequest, match="at most 256"):
        await objects.create_many([birth("one")] * 257)


async def messages_of_many_are_judged_one_by_one(channel):
    await patches_in_one_message_are_judged_alone(Objects(channel))
    await creations_in_one_message_are_judged_alone(Objects(channel))
    await writes_that_go_together_are_judged_alone(channel)


async def writes_that_go_together_are_judged_alone(channel):
    objects = GatheredObjects(channel)
    key = Key("kube-node-lease", "one")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(objects.run())
        await asyncio.sleep(0)
        said = {"metadata": {"name": "three"}, "spec": {"holderIdentity": "three"}}
        made, changed, gone = (
            group.create_task(objects.create(LEASES, "kube-node-lease", said)),
            group.create_task(objects.patch(LEASES, key, {"spec": {"holderIdentity": "new"}})),
            group.create_task(objects.delete(LEASES, Key("kube-node-lease", "two"))),
        )
        with pytest.raises(NotFound):
            await objects.patch(LEASES, Key("kube-node-lease", "none"), {})
        await asyncio.wait([made, changed, gone])
        running.cancel()
    assert json.loads(made.result())["spec"] == said["spec"]
    assert json.loads(changed.result())["spec"]["holderIdentity"] == "new"
    assert gone.result() is None


async def test_it_registers_runs_pods_and_ends_when_told(tmp_path):
    async with (
        server.running(tmp_path) as (process, _),
        open_channel(f"unix://{tmp_path}/run/apiserver.sock") as channel,
    ):
        objects = Objects(channel)
        await messages_of_many_are_judged_one_by_one(channel)
        flags = ("--name-prefix=fake-", "--first=5", "--labels=pool=big", "--cpu=8",
                 "--register-with-taints=kwok.x-k8s.io/node=fake:NoSchedule")  # fmt: skip
        async with simulating(process, *flags) as child:

            async def nodes():
                return [json.loads(text) for text in (await objects.list(NODES))[0]]

            found = await eventually(nodes, lambda found: len(found) == NODE_COUNT)
            names = [item["metadata"]["name"] for item in found]
            assert names == [f"fake-{number}" for number in range(5, 10)]
            assert {item["metadata"]["labels"]["pool"] for item in found} == {"big"}
            assert found[0]["status"]["allocatable"]["cpu"] == "8"
            taint = {"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}
            assert taint in found[0]["spec"]["taints"]

            account = {"kind": "ServiceAccount", "metadata": {"name": "default"}}
            await objects.create(SERVICE_ACCOUNTS, "kube-system", account)
            await objects.create(PODS, "kube-system", POD)

            async def pod():
                return json.loads(await objects.get(PODS, Key("kube-system", "there")))

            status = (await eventually(pod, lambda pod: "podIP" in pod["status"]))["status"]
            assert status["phase"] == "Running"
            # Nobody gives nodes their ranges here.
            assert status["podIP"].startswith("100.64.")
            assert status["hostIP"] == "198.18.0.8"
            child.send_signal(signal.SIGTERM)
            assert await child.wait() == 0

        async def restarts():
            found = (await pod())["status"]["containerStatuses"][0]
            return found["restartCount"] if "running" in found["state"] else 0

        async with simulating(process, *flags) as child:
            # To its pods a new process is a machine that was replaced.
            assert await eventually(restarts, bool) == 1
            child.kill()
        assert len(await nodes()) == NODE_COUNT
