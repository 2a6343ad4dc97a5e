"""etcd v3 ``Maintenance`` and ``Cluster`` for a cluster of one: what there is to tell."""

from typing import Any

from typing_extensions import override

from pilothouse.protos.etcd import rpc_pb2
from pilothouse.protos.etcd.rpc_pb2_grpc import ClusterServicer, MaintenanceServicer
from pilothouse.services.runtime.rpc.errors import Context
from pilothouse.services.store import errors
from pilothouse.services.store.keyspace import Keyspace
from pilothouse.services.store.rpc import codec
from pilothouse.services.store.rpc.header import RAFT_TERM, header, member_id
from pilothouse.services.store.rpc.refused import refused, refused_stream

# The etcd whose API this is.
VERSION = "3.4.23"
MEMBER_NAME = "pilothouse"


class Maintenance(MaintenanceServicer):
    """Status and alarms; everything else is refused by name."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace

    @override
    async def Status(
        self, request: rpc_pb2.StatusRequest, context: Context
    ) -> rpc_pb2.StatusResponse:
        with codec.refusals():
            await self._keyspace.settled()
        size = await self._keyspace.size()
        revision = self._keyspace.revisions.revision
        return rpc_pb2.StatusResponse(
            header=header(self._keyspace, revision),
            version=VERSION,
            dbSize=size.allocated_bytes,
            dbSizeInUse=size.used_bytes,
            leader=member_id(self._keyspace),
            raftIndex=revision,
            raftAppliedIndex=revision,
            raftTerm=RAFT_TERM,
        )

    @override
    async def Alarm(self, request: rpc_pb2.AlarmRequest, context: Context) -> rpc_pb2.AlarmResponse:
        """There are none to list: a store that can not write refuses writes."""
        if request.action != rpc_pb2.AlarmRequest.GET:
            errors.refuse("Alarm other than GET")
        revision = self._keyspace.revisions.revision
        return rpc_pb2.AlarmResponse(header=header(self._keyspace, revision))

    Defragment: Any = refused("Defragment (compaction gives space back by itself)")
    Hash: Any = refused("Hash")
    HashKV: Any = refused("HashKV")
    Snapshot: Any = refused_stream("Snapshot")
    MoveLeader: Any = refused("MoveLeader")
    Downgrade: Any = refused("Downgrade")


class Cluster(ClusterServicer):
    """A cluster of one member that can not be changed."""

    def __init__(self, keyspace: Keyspace, client_urls: tuple[str, ...] = ()) -> None:
        self._keyspace = keyspace
        self._client_urls = client_urls

    @override
    async def MemberList(
        self, request: rpc_pb2.MemberListRequest, context: Context
    ) -> rpc_pb2.MemberListResponse:
        member = rpc_pb2.Member(
            ID=member_id(self._keyspace), name=MEMBER_NAME, clientURLs=self._client_urls
        )
        revision = self._keyspace.revisions.revision
        return rpc_pb2.MemberListResponse(header=header(self._keyspace, revision), members=[member])

    MemberAdd: Any = refused("MemberAdd")
    MemberRemove: Any = refused("MemberRemove")
    MemberUpdate: Any = refused("MemberUpdate")
    MemberPromote: Any = refused("MemberPromote")
