"""
Token cleaner: bootstrap tokens go when their time is over.

Reads   Secret (bootstrap tokens of kube-system)
Writes  Secret (delete)
Again   when the token expires
"""

from typing import Protocol

from pilothouse.services.machinery.kinds import bootstraptokens
from pilothouse.services.machinery.kinds.identity import Secret
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> Secret | None: ...
    def now(self) -> float: ...
    async def delete(self, token: Secret) -> None: ...


class TokenCleanerController:
    """Clears each token away in its time."""

    name = "tokencleaner"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        token = self._cluster.find(key)
        if token is None or token.metadata.deleting:
            return DONE
        now = self._cluster.now()
        if not bootstraptokens.is_over(token, now):
            return Result(again_after=bootstraptokens.seconds_left(token, now))
        await self._cluster.delete(token)
        return DONE
