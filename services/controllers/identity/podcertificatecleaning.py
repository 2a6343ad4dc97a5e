"""
Pod certificate cleaning: requests for pods' certificates go when they are old.

Reads   PodCertificateRequest
Writes  PodCertificateRequest (delete)
Again   when a quarter of an hour after its creation has passed
"""

from typing import Protocol

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.objects import Key, Object
from pilothouse.services.runtime.control.loop import DONE, Result

KEPT_SECONDS = 15 * 60.0


def seconds_left(request: Object, now: float) -> float:
    """Until it goes; 0 or less when it is time."""
    created = request.metadata.creation_timestamp
    return (timestamps.parse(created) if created else 0.0) + KEPT_SECONDS - now


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> Object | None: ...
    def now(self) -> float: ...
    async def delete(self, request: Object) -> None: ...


class PodCertificateCleaningController:
    """Clears old requests away."""

    name = "podcertificaterequest-cleaner"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        request = self._cluster.find(key)
        if request is None or request.metadata.deleting:
            return DONE
        left = seconds_left(request, self._cluster.now())
        if left > 0:
            return Result(again_after=left)
        await self._cluster.delete(request)
        return DONE
