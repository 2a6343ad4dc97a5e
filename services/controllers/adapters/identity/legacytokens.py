"""Tokens in Secrets, who names and who mounts them, and the writes to them."""

from collections.abc import Iterator
from typing import Any

import msgspec

from pilothouse.services.controllers.adapters import wiring
from pilothouse.services.controllers.adapters.identity.accounts import TOKEN_SECRETS
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.identity.legacytokens import Day, LegacyTokenController
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds import identity
from pilothouse.services.machinery.kinds.identity import ConfigMap, Secret, ServiceAccount
from pilothouse.services.machinery.objects import Key, View
from pilothouse.services.machinery.resources import CONFIG_MAPS, PODS, SECRETS, SERVICE_ACCOUNTS
from pilothouse.services.runtime.client.objects import Selection
from pilothouse.services.runtime.control.queue import WorkQueue


class _Pod(View, frozen=True, kw_only=True):
    spec: dict[str, Any] = {}


_POD = msgspec.json.Decoder(_Pod)
_CONFIG_MAP = msgspec.json.Decoder(ConfigMap)


class LegacyTokens:
    """What the cleaner of legacy tokens asks for."""

    def __init__(self, world: World, unused_seconds: float) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._unused_seconds = unused_seconds
        self._secrets = world.cache(SECRETS, Secret, TOKEN_SECRETS)
        self._accounts = world.cache(SERVICE_ACCOUNTS, ServiceAccount)

    def secret(self, key: Key) -> Secret | None:
        return self._secrets.get(key)

    def account(self, secret: Secret) -> ServiceAccount | None:
        name = secret.metadata.annotations.get(identity.ACCOUNT_NAME, "")
        return self._accounts.get(Key(secret.metadata.namespace, name))

    def day(self) -> Day:
        return Day(self._clock.now(), self._unused_seconds)

    async def tracked(self) -> str:
        try:
            found = _CONFIG_MAP.decode(await self._objects.get(CONFIG_MAPS, identity.TRACKING))
        except NotFound:
            return ""
        return found.data.get(identity.TRACKED_SINCE, "")

    async def is_mounted(self, secret: Secret) -> bool:
        # Asked for so seldom that no cache keeps what pods mount. A word too many is no harm.
        metadata = secret.metadata
        found, _ = await self._objects.list(PODS, Selection(metadata.namespace))
        return any(metadata.name in words(_POD.decode(text).spec) for text in found)

    async def invalidate(self, secret: Secret, today: str) -> None:
        metadata = secret.metadata
        patch = {"metadata": {"uid": metadata.uid, "labels": {identity.INVALID_SINCE: today}}}
        await self._objects.patch(SECRETS, metadata.key, patch)

    async def delete(self, secret: Secret) -> None:
        await remove(self._objects, SECRETS, secret.metadata)


def words(value: Any) -> Iterator[str]:
    """Every text in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from words(item)


def cleaner(world: World, unused_seconds: float) -> Controller:
    """The cleaner of legacy tokens, wired."""
    found = world.cache(SECRETS, Secret, TOKEN_SECRETS)
    queue: WorkQueue[Key] = WorkQueue()
    found.on_change(wiring.itself(queue))
    made = LegacyTokenController(LegacyTokens(world, unused_seconds))
    return controller(made, queue, found, workers=1)
