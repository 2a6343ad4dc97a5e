"""Which tokens that lie in Secrets are used: each Secret says the day of the last use of its own.

Whoever clears old tokens away goes by that, and by the ConfigMap that says since when it is done.
Both are named as in Kubernetes. A use costs a write on the first use of a day only.
"""

import asyncio
import contextlib
from typing import Any

import msgspec

from pilothouse.services.apiserver.bootstrap import SERVER
from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.apiserver.requests import Patch, Target, WriteOptions
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    NotFound,
    ServiceUnavailable,
)
from pilothouse.services.machinery.kinds.identity import (
    ACCOUNT_NAME,
    LAST_USED,
    TRACKED_SINCE,
    TRACKING,
)
from pilothouse.services.machinery.objects import Key, Metadata
from pilothouse.services.machinery.storage import Unavailable
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

NOTED_MAX = 1000
"""Uses that wait to be written; those beyond are noted when they come again."""
RETRY_SECONDS = 10.0
_OPTIONS = WriteOptions(agent="kube-apiserver")


class TokenUses:
    """Notes uses as they come, and writes them down beside the requests that they came with."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._noted: dict[Key, str] = {}
        self._some = asyncio.Event()

    def note(self, secret: Metadata) -> None:
        """A token that is bound to ``secret`` is used; it lies there if that names an account."""
        if ACCOUNT_NAME not in secret.annotations:
            return
        if secret.labels.get(LAST_USED) == self._today() or len(self._noted) >= NOTED_MAX:
            return
        self._noted[secret.key] = secret.uid
        self._some.set()

    async def run(self, registry: Registry) -> None:
        """Write until cancelled."""
        while True:
            try:
                await self._begin(registry)
                while True:
                    await self._some.wait()
                    await self.write(registry)
            except (ApiError, Unavailable) as error:
                telemetry.logger().warning("uses of tokens are not written", error=str(error))
            await self._clock.sleep(RETRY_SECONDS)

    async def write(self, registry: Registry) -> None:
        """Write all that is noted; what can not be written now stays.

        Raises:
            ServiceUnavailable: the store does not answer.
        """
        self._some.clear()
        for key, uid in tuple(self._noted.items()):
            said: dict[str, Any] = {"uid": uid, "labels": {LAST_USED: self._today()}}
            target = Target("", "v1", "secrets", key.namespace, key.name)
            patch = Patch("merge", {"metadata": said})
            try:
                # It may be gone by now.
                with contextlib.suppress(NotFound, Conflict):
                    await registry.patch(SERVER, target, patch, _OPTIONS)
            except ServiceUnavailable:
                self._some.set()
                raise
            except ApiError as error:
                telemetry.logger().warning("a use is not written", key=str(key), error=str(error))
            del self._noted[key]

    async def _begin(self, registry: Registry) -> None:
        """Say since when uses are noted, unless that is said."""
        stored = registry.parts.cache.find("", "configmaps", TRACKING)
        there = msgspec.json.decode(stored.json) if stored is not None else {}
        if TRACKED_SINCE in (there.get("data") or {}):
            return
        target = Target("", "v1", "configmaps", TRACKING.namespace)
        data = {TRACKED_SINCE: self._today()}
        if stored is not None:
            named = Target("", "v1", "configmaps", TRACKING.namespace, TRACKING.name)
            await registry.patch(SERVER, named, Patch("merge", {"data": data}), _OPTIONS)
            return
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": TRACKING.name, "namespace": TRACKING.namespace},
            "data": data,
        }
        with contextlib.suppress(AlreadyExists):
            await registry.create(SERVER, target, body, _OPTIONS)

    def _today(self) -> str:
        return timestamps.render(self._clock.now())[:10]
