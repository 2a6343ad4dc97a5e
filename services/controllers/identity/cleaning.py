"""
Certificate cleaning: requests that nobody needs any more go.

Reads   CertificateSigningRequest
Writes  CertificateSigningRequest (delete)
Again   when its time is over: an hour after the verdict, a day after it was made without one
"""

from typing import Protocol

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds.certificates import CertificateSigningRequest
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

DECIDED_SECONDS = 3600.0
PENDING_SECONDS = 24 * 3600.0


def seconds_left(
    request: CertificateSigningRequest, expires: float | None, now: float
) -> float | None:
    """Until it goes, None for never; ``expires`` is when its certificate is no longer valid."""
    ends = []
    issued = bool(request.status.certificate)
    for condition in request.status.conditions:
        over = condition.type in {"Denied", "Failed"} or (condition.type == "Approved" and issued)
        if over and condition.last_update_time:
            ends.append(timestamps.parse(condition.last_update_time) + DECIDED_SECONDS)
        if condition.type == "Approved" and expires is not None:
            ends.append(expires)
    created = request.metadata.creation_timestamp
    if not request.status.conditions and created:
        ends.append(timestamps.parse(created) + PENDING_SECONDS)
    return min(ends) - now if ends else None


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> CertificateSigningRequest | None: ...
    def expires(self, request: CertificateSigningRequest) -> float | None:
        """When its certificate ends (seconds since the epoch); None without one."""

    def now(self) -> float: ...
    async def delete(self, request: CertificateSigningRequest) -> None: ...


class CleaningController:
    """Clears old requests away."""

    name = "csrcleaner"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        request = self._cluster.find(key)
        if request is None:
            return DONE
        left = seconds_left(request, self._cluster.expires(request), self._cluster.now())
        if left is None or left > 0:
            return Result(again_after=left)
        await self._cluster.delete(request)
        return DONE
