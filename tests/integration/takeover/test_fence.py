"""A write whose term is over when it arrives is refused by the API server, whatever its verb."""

import asyncio

import pytest

from pilothouse.services.machinery.errors import BadRequest, ServiceUnavailable
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import CONFIG_MAPS, LEASES
from pilothouse.services.runtime.client.gathered import GatheredObjects
from pilothouse.services.runtime.client.objects import Birth, Change, Objects, Selection
from pilothouse.services.runtime.rpc.channel import open_channel
from pilothouse.services.runtime.rpc.claims import METADATA, Claim

LEASE = Key("kube-system", "work")
OURS = Claim(LEASE, "host_a", 0)


def over():
    return pytest.raises(ServiceUnavailable, match="is not held by host_a")


def config_map(name):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


async def give(objects, holder, transitions):
    spec = {"holderIdentity": holder, "leaseTransitions": transitions, "leaseDurationSeconds": 15}
    await objects.patch(LEASES, LEASE, {"spec": spec})


async def writes(objects, name):
    """One of each kind, none of which may pass."""
    key = Key("default", "here")
    with over():
        await objects.create(CONFIG_MAPS, "default", config_map(name))
    with over():
        await objects.create_many([Birth(CONFIG_MAPS, "default", config_map(name))])
    with over():
        await objects.update(CONFIG_MAPS, key, config_map("here"))
    with over():
        await objects.patch(CONFIG_MAPS, key, {"data": {"a": "b"}})
    with over():
        await objects.patch_many([Change(CONFIG_MAPS, key, {"data": {"a": "b"}})])
    with over():
        await objects.delete(CONFIG_MAPS, key)


async def test_what_was_decided_in_a_term_that_is_over_is_not_written(stage, tmp_path):
    free = stage.objects
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    await free.create(LEASES, LEASE.namespace, {**lease, "metadata": {"name": LEASE.name}})
    async with open_channel(f"unix://{tmp_path}/run/apiserver.sock") as channel:
        bound = Objects(channel, claim=OURS.pairs)
        await writes(bound, "too-early")
        await give(free, "host_a", 0)
        await bound.create(CONFIG_MAPS, "default", config_map("here"))
        before = await free.get(CONFIG_MAPS, Key("default", "here"))
        # Another's; nobody's; its own once more, after another's.
        for holder, transitions in (("host_b", 1), ("", 1), ("host_a", 2)):
            await give(free, holder, transitions)
            await writes(bound, "too-late")
        assert await free.get(CONFIG_MAPS, Key("default", "here")) == before
        await bound.get(CONFIG_MAPS, Key("default", "here"))
        unread = Objects(channel, claim=lambda: ((METADATA, "kube-system/work host_a"),))
        with pytest.raises(BadRequest, match=METADATA):
            await unread.create(CONFIG_MAPS, "default", config_map("unread"))
        # Who claims nothing may write.
        await free.delete(CONFIG_MAPS, Key("default", "here"))


async def test_what_goes_together_is_refused_together(stage, tmp_path):
    free = stage.objects
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    await free.create(LEASES, LEASE.namespace, {**lease, "metadata": {"name": LEASE.name}})
    await give(free, "host_b", 1)
    async with (
        open_channel(f"unix://{tmp_path}/run/apiserver.sock") as channel,
        asyncio.TaskGroup() as group,
    ):
        gathered = GatheredObjects(channel, claim=OURS.pairs)
        running = group.create_task(gathered.run())

        async def refused(name):
            with over():
                await gathered.create(CONFIG_MAPS, "default", config_map(name))

        async with asyncio.TaskGroup() as writing:
            for number in range(20):
                writing.create_task(refused(f"late-{number}"))
        running.cancel()
    found, _ = await free.list(CONFIG_MAPS, Selection("default"))
    assert not any("late-" in text for text in found)
