"""``mesh.v1.Controllers`` of a real manager whose objects are in real trouble."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path

import pytest

from pilothouse.ops.bench import server
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    CRON_JOBS,
    JOBS,
    LEASES,
    REPLICA_SETS,
    SERVICE_ACCOUNTS,
    Resource,
)
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.rpc.channel import open_channel

GRPCURL = str(Path(sys.executable).with_name("grpcurl"))
SECONDS_MAX = 30
QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
LABELS = {"app": "web"}
TEMPLATE = {
    "metadata": {"labels": LABELS},
    "spec": {"containers": [{"name": "web", "image": "web:1"}]},
}


@contextlib.asynccontextmanager
async def manager(folder, name):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pilothouse.services.controllers"),
        f"--server=unix://{folder}/run/apiserver.sock",
        f"--run-dir={folder}/{name}",
    )
    try:
        yield str(folder / name / "controllers.sock")
    finally:
        process.terminate()
        await process.wait()


async def call(socket, method, **request):
    process = await asyncio.create_subprocess_exec(
        GRPCURL, "-plaintext", "-unix", "-emit-defaults", "-d", json.dumps(request), socket,
        f"pilothouse.mesh.v1.Controllers/{method}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await process.communicate()
    return json.loads(said) if process.returncode == 0 else None


async def until(question):
    async with asyncio.timeout(SECONDS_MAX):
        while not (answer := await question()):
            await asyncio.sleep(0.05)
    return answer


class Trouble:
    """A cluster with a manager at work and one that stands by."""

    def __init__(self, objects, leader, standby):
        self.objects, self.leader, self.standby = objects, leader, standby

    async def create(self, resource, name, **parts):
        body = {"apiVersion": resource.api_version, "kind": resource.kind}
        await self.objects.create(
            resource, "default", {**body, "metadata": {"name": name}, **parts}
        )

    async def replicaset(self, name, replicas):
        spec = {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": TEMPLATE}
        await self.create(REPLICA_SETS, name, spec=spec)

    async def explain(self, controller, name, holds, socket=""):
        """The answer about ``default/name``, once it is as it should be."""

        async def asked():
            told = await call(
                socket or self.leader, "Explain",
                controller=controller, namespace="default", name=name,
            )  # fmt: skip
            return told if told and holds(told) else None

        return await until(asked)


@pytest.fixture
async def trouble(tmp_path):
    async with (
        server.running(tmp_path),
        open_channel(f"unix://{tmp_path}/run/apiserver.sock") as channel,
        manager(tmp_path, "one") as one,
        manager(tmp_path, "two") as two,
    ):
        objects = Objects(channel)

        async def ready():
            with contextlib.suppress(ApiError):
                return await objects.get(SERVICE_ACCOUNTS, Key("default", "default"))

        await until(ready)

        async def leader():
            """Once both answer, and one of them leads."""
            told = {socket: await call(socket, "List") for socket in (one, two)}
            if not all(told.values()):
                return None
            return next((socket for socket, answer in told.items() if answer["leading"]), None)

        found = await until(leader)
        yield Trouble(objects, found, one if found == two else two)


async def test_a_quota_in_the_way_is_told_in_its_own_words(trouble):
    await trouble.create(QUOTAS, "few", spec={"hard": {"pods": "1"}})
    await trouble.explain("resourcequota", "few", lambda told: told["state"] == "DELAYED")
    await trouble.replicaset("web", 3)
    # A quota is in the way: its words, how often, and when it is tried again.
    told = await trouble.explain("replicaset", "web", lambda told: told["failure"])
    assert "exceeded quota: few" in told["failure"]["error"]
    assert "exceeded quota: few" in told["summary"]
    assert int(told["failure"]["tries"]) >= 1

    async def listed():
        found = (await call(trouble.leader, "List"))["controllers"]
        [one] = [item for item in found if item["name"] == "replicaset"]
        return one["failures"]

    [failure] = await until(listed)
    assert failure["key"] == "default/web"
    # The quota grows: whoever does not want to wait pushes.
    patch = {"spec": {"hard": {"pods": "10"}}}
    await trouble.objects.patch(QUOTAS, Key("default", "few"), patch)
    where = {"controller": "replicaset", "namespace": "default", "name": "web"}

    async def whole():
        await call(trouble.leader, "Resync", **where)
        status = json.loads(await trouble.objects.get(REPLICA_SETS, Key("default", "web")))
        return status["status"]["replicas"] == 3

    await until(whole)
    await trouble.explain("replicaset", "web", lambda told: not told["failure"])


async def test_what_is_not_due_yet_and_what_is_not_there(trouble):
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {
        "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}}}}  # fmt: skip
    await trouble.create(CRON_JOBS, "yearly", spec=spec)
    told = await trouble.explain("cronjob", "yearly", lambda told: told["state"] == "DELAYED")
    assert told["due_seconds"] > 3600
    assert "it is looked at again in" in told["summary"]
    told = await trouble.explain("replicaset", "wbe", lambda told: told["state"] == "IDLE")
    assert told["summary"] == "replicaset knows of no object default/wbe"
    await trouble.create(JOBS, "done", spec={**spec["jobTemplate"]["spec"], "suspend": True})
    told = await trouble.explain("job-controller", "done", lambda told: told["state"] == "IDLE")
    assert told["summary"] == "nothing is to be done until something changes"


async def test_who_stands_by_says_who_leads(trouble):
    lease = json.loads(
        await trouble.objects.get(LEASES, Key("kube-system", "kube-controller-manager"))
    )
    holder = lease["spec"]["holderIdentity"]
    told = await call(trouble.leader, "List")
    assert (told["leading"], told["leader"]) == (True, holder)

    async def knows():
        told = await call(trouble.standby, "List")
        assert not told["leading"]
        return told["leader"] == holder

    await until(knows)
    await trouble.replicaset("web", 1)
    told = await trouble.explain("replicaset", "web", lambda told: True, trouble.standby)
    assert told["summary"].startswith(f"this process stands by, {holder} leads")
