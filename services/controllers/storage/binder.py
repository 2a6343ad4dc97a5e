"""
Binding: every claim gets a volume that is no other's; what nobody claims any more is given back.

Reads   PersistentVolumeClaim, PersistentVolume, StorageClass, Pod (who waits for a claim)
Writes  claimRef, volumeName, annotations and status of both; the class of claims that name none
Again   every half hour what waits is told anew why

A key with a namespace is a claim's, one without is a volume's.
"""

from typing import Protocol

from pilothouse.services.controllers.storage.pairing import claiming, reclaiming
from pilothouse.services.controllers.storage.pairing.claiming import Observed, Say
from pilothouse.services.machinery.kinds import binding
from pilothouse.services.machinery.kinds.volumes import Claim, PersistentVolume
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

REMIND_SECONDS = 1800.0


class Cluster(Protocol):
    """What the binder asks of the API. Writes fail with Conflict when what was seen is old."""

    def claim(self, key: Key) -> Claim | None: ...
    def observe(self, claim: Claim) -> Observed: ...
    def say(self, about: Claim | PersistentVolume, say: Say) -> None: ...
    async def held(self, name: str) -> tuple[PersistentVolume | None, Claim | None]:
        """A volume, and the claim that claimRef means: asked for anew when it is not known."""

    async def bind(self, claim: Claim, volume: PersistentVolume) -> None: ...
    async def tell(self, claim: Claim, plan: claiming.Plan) -> None: ...
    async def apply(self, volume: PersistentVolume, plan: reclaiming.Plan) -> None: ...


class Binder:
    """Makes pairs and ends them."""

    name = "persistentvolume-binder"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        return await (self._claim(key) if key.namespace else self._volume(key))

    async def _claim(self, key: Key) -> Result:
        claim = self._cluster.claim(key)
        if claim is None:
            return DONE
        if claim.metadata.deleting and not binding.is_complete(claim):
            return DONE
        todo = claiming.plan(claim, self._cluster.observe(claim))
        if todo.bind is not None:
            await self._cluster.bind(claim, todo.bind)
            return DONE
        await self._cluster.tell(claim, todo)
        if todo.say is None:
            return DONE
        self._cluster.say(claim, todo.say)
        return Result(again_after=REMIND_SECONDS)

    async def _volume(self, key: Key) -> Result:
        volume, claim = await self._cluster.held(key.name)
        if volume is None:
            return DONE
        todo = reclaiming.plan(volume, claim)
        if todo.say is not None:
            self._cluster.say(volume, todo.say)
        await self._cluster.apply(volume, todo)
        return DONE
