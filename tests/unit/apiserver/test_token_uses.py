"""Uses of tokens are noted at once and written beside: once a day, and only where they lie."""

import asyncio

import msgspec

from pilothouse.services.apiserver.tokenuses import TokenUses
from pilothouse.services.machinery.kinds import identity
from pilothouse.services.machinery.objects import Object

NOTES = {identity.ACCOUNT_NAME: "default"}


class Clock:
    """Stands on a day."""

    day = "2026-06-15"

    def now(self):
        return 1_781_524_800.0  # 2026-06-15T12:00:00Z

    async def sleep(self, seconds):
        await asyncio.Event().wait()


def seen(registry, key):
    stored = registry.parts.cache.find("", "secrets", key)
    return msgspec.json.decode(stored.json, type=Object).metadata


async def test_a_use_is_written_once_a_day(client, registry):
    uses = TokenUses(Clock())
    for name, notes in (("token", NOTES), ("plain", {}), ("gone", NOTES)):
        await client.create("secrets", {"metadata": {"name": name, "annotations": notes}})
    found = {name: seen(registry, client.target("secrets", name).key)
             for name in ("token", "plain", "gone")}  # fmt: skip
    for metadata in found.values():
        uses.note(metadata)
    await client.delete("secrets", "gone")
    await uses.write(registry)
    after = await client.get("secrets", "token")
    assert after["metadata"]["labels"] == {identity.LAST_USED: Clock.day}
    assert "labels" not in (await client.get("secrets", "plain"))["metadata"]
    uses.note(seen(registry, found["token"].key))
    await uses.write(registry)
    again = await client.get("secrets", "token")
    assert again["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]


async def test_it_is_said_since_when_uses_are_written(client, registry):
    await client.create(
        "configmaps", {"metadata": {"name": identity.TRACKING.name}}, namespace="kube-system"
    )
    uses = TokenUses(Clock())
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        running = group.create_task(uses.run(registry))
        data = {}
        while identity.TRACKED_SINCE not in data:
            await asyncio.sleep(0.005)
            found = await client.get("configmaps", identity.TRACKING.name, namespace="kube-system")
            data = found.get("data") or {}
        running.cancel()
    assert data == {identity.TRACKED_SINCE: Clock.day}
