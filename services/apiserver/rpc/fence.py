"""Lets a write through only while the Lease says what the writer claims."""

import msgspec

from pilothouse.services.apiserver.cache.cache import Cache
from pilothouse.services.apiserver.requests import Stored
from pilothouse.services.machinery.errors import ServiceUnavailable
from pilothouse.services.machinery.objects import Key, View
from pilothouse.services.machinery.resources import LEASES
from pilothouse.services.runtime.rpc import claims
from pilothouse.services.runtime.rpc.claims import Claim
from pilothouse.services.runtime.rpc.errors import Context


class _Spec(View, frozen=True, kw_only=True):
    holder_identity: str | None = None
    lease_transitions: int | None = None


class _Lease(View, frozen=True, kw_only=True):
    spec: _Spec = _Spec()


_decode = msgspec.json.Decoder(_Lease).decode


class Fence:
    """Reads Leases from the cache of all objects; whoever claims nothing may write."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._read: dict[Key, tuple[Stored, _Spec]] = {}

    async def check(self, context: Context) -> None:
        """ServiceUnavailable where the term is over under which the caller would write."""
        claim = claims.read(context.invocation_metadata() or ())
        if claim is None or self._holds(claim):
            return
        # It may have been taken a moment ago.
        await self._cache.wait_fresh()
        if not self._holds(claim):
            raise ServiceUnavailable(
                f"the lease {claim.lease} is not held by {claim.holder}, or was another's meanwhile"
            )

    def _holds(self, claim: Claim) -> bool:
        stored = self._cache.find(LEASES.group, LEASES.plural, claim.lease)
        if stored is None:
            self._read.pop(claim.lease, None)
            return False
        spec = self._spec(claim.lease, stored)
        return (spec.holder_identity, spec.lease_transitions or 0) == (
            claim.holder,
            claim.transitions,
        )

    def _spec(self, lease: Key, stored: Stored) -> _Spec:
        known = self._read.get(lease)
        if known is None or known[0] is not stored:
            known = self._read[lease] = (stored, _decode(stored.json).spec)
        return known[1]
