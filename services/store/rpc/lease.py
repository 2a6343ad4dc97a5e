"""etcd v3 ``Lease`` over the store."""

import secrets
from collections.abc import AsyncIterator

from typing_extensions import override

from pilothouse.protos.etcd import rpc_pb2
from pilothouse.protos.etcd.rpc_pb2_grpc import LeaseServicer
from pilothouse.services.runtime.rpc.errors import Context
from pilothouse.services.store import errors
from pilothouse.services.store.keyspace import Keyspace
from pilothouse.services.store.leases import TTL_SECONDS_MAX
from pilothouse.services.store.rpc import codec
from pilothouse.services.store.rpc.header import header

TTL_SECONDS_MIN = 1
_GONE = -1


class Lease(LeaseServicer):
    """Leases: grant, renew, look, revoke."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace
        self._lessor = keyspace.lessor

    @override
    async def LeaseGrant(
        self, request: rpc_pb2.LeaseGrantRequest, context: Context
    ) -> rpc_pb2.LeaseGrantResponse:
        if request.TTL > TTL_SECONDS_MAX:
            raise errors.lease_ttl_too_large()
        lease_id = request.ID or secrets.randbits(62) | 1
        if self._lessor.leases.get(lease_id) is not None:
            raise errors.lease_exists()
        with codec.refusals():
            lease = await self._lessor.grant(lease_id, max(request.TTL, TTL_SECONDS_MIN))
        return rpc_pb2.LeaseGrantResponse(header=self._header(), ID=lease.id, TTL=lease.ttl_seconds)

    @override
    async def LeaseRevoke(
        self, request: rpc_pb2.LeaseRevokeRequest, context: Context
    ) -> rpc_pb2.LeaseRevokeResponse:
        lease = self._lessor.leases.get(request.ID)
        if lease is None:
            raise errors.lease_not_found()
        with codec.refusals():
            revision = await self._lessor.revoke(lease)
        return rpc_pb2.LeaseRevokeResponse(header=header(self._keyspace, revision))

    @override
    async def LeaseKeepAlive(
        self, request_iterator: AsyncIterator[rpc_pb2.LeaseKeepAliveRequest], context: Context
    ) -> AsyncIterator[rpc_pb2.LeaseKeepAliveResponse]:
        """One answer a request, in order; a lease that is gone has a TTL of 0."""
        async for request in request_iterator:
            lease = self._lessor.leases.get(request.ID)
            ttl_seconds = 0
            if lease is not None:
                with codec.refusals():
                    ttl_seconds = (await self._lessor.renew(lease)).ttl_seconds
            yield rpc_pb2.LeaseKeepAliveResponse(
                header=self._header(), ID=request.ID, TTL=ttl_seconds
            )

    @override
    async def LeaseTimeToLive(
        self, request: rpc_pb2.LeaseTimeToLiveRequest, context: Context
    ) -> rpc_pb2.LeaseTimeToLiveResponse:
        with codec.refusals():
            await self._keyspace.settled()
        leases = self._lessor.leases
        lease = leases.get(request.ID)
        if lease is None:
            return rpc_pb2.LeaseTimeToLiveResponse(header=self._header(), ID=request.ID, TTL=_GONE)
        return rpc_pb2.LeaseTimeToLiveResponse(
            header=self._header(),
            ID=lease.id,
            TTL=lease.remaining_seconds(self._lessor.now()),
            grantedTTL=lease.ttl_seconds,
            keys=leases.keys(lease.id) if request.keys else (),
        )

    @override
    async def LeaseLeases(
        self, request: rpc_pb2.LeaseLeasesRequest, context: Context
    ) -> rpc_pb2.LeaseLeasesResponse:
        with codec.refusals():
            await self._keyspace.settled()
        leases = [rpc_pb2.LeaseStatus(ID=lease.id) for lease in self._lessor.leases.all()]
        return rpc_pb2.LeaseLeasesResponse(header=self._header(), leases=leases)

    def _header(self) -> rpc_pb2.ResponseHeader:
        return header(self._keyspace, self._keyspace.revisions.revision)
