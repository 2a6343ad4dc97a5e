"""etcd v3 ``KV`` over the store: decode, ask, encode. No decisions here."""

from typing import Any

from typing_extensions import override

from pilothouse.protos.etcd import rpc_pb2
from pilothouse.protos.etcd.rpc_pb2_grpc import KVServicer
from pilothouse.services.runtime.rpc.errors import Context
from pilothouse.services.store import errors, requests
from pilothouse.services.store.keyspace import Keyspace
from pilothouse.services.store.rpc import codec
from pilothouse.services.store.rpc.header import header
from pilothouse.services.store.rpc.refused import refused_stream
from pilothouse.services.store.txn import (
    Answer,
    DeleteAnswer,
    PutAnswer,
    TxnAnswer,
    check_revision,
)


class KV(KVServicer):
    """Keys: read, write, delete, transactions, compaction."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace

    @override
    async def Range(self, request: rpc_pb2.RangeRequest, context: Context) -> rpc_pb2.RangeResponse:
        wanted = codec.decode_range(request)
        requests.check(wanted)
        with codec.refusals():
            answer, revision = await self._keyspace.range(wanted)
        return codec.encode_range(answer, header(self._keyspace, revision))

    @override
    async def Put(self, request: rpc_pb2.PutRequest, context: Context) -> rpc_pb2.PutResponse:
        put = codec.decode_put(request)
        requests.check(put)
        if put.lease and self._keyspace.lessor.leases.get(put.lease) is None:
            # As etcd: a put alone misses its lease first, one in a transaction its key.
            with codec.refusals():
                await self._keyspace.settled()
            raise errors.lease_not_found()
        answer, revision = await self._alone(put, request.ByteSize())
        assert isinstance(answer, PutAnswer)  # noqa: S101 - each operation has its answer
        return codec.encode_put(answer, header(self._keyspace, revision))

    @override
    async def DeleteRange(
        self, request: rpc_pb2.DeleteRangeRequest, context: Context
    ) -> rpc_pb2.DeleteRangeResponse:
        deletion = codec.decode_delete(request)
        answer, revision = await self._alone(deletion, request.ByteSize())
        assert isinstance(answer, DeleteAnswer)  # noqa: S101 - each operation has its answer
        return codec.encode_delete(answer, header(self._keyspace, revision))

    @override
    async def Txn(self, request: rpc_pb2.TxnRequest, context: Context) -> rpc_pb2.TxnResponse:
        txn = codec.decode_txn(request)
        requests.check(txn)
        answer, revision = await self._judge(txn, request.ByteSize())
        return codec.encode_txn(answer, header(self._keyspace, revision))

    @override
    async def Compact(
        self, request: rpc_pb2.CompactionRequest, context: Context
    ) -> rpc_pb2.CompactionResponse:
        """Answers when the space is free, whether or not ``physical`` is asked for."""
        revisions = self._keyspace.revisions
        check_revision(request.revision, revisions.revision, revisions.compacted + 1)
        if request.revision <= 0 or request.revision <= revisions.compacted:
            raise errors.compacted()
        with codec.refusals():
            await self._keyspace.compact(request.revision)
        return rpc_pb2.CompactionResponse(header=header(self._keyspace, revisions.revision))

    RangeStream: Any = refused_stream("RangeStream")

    async def _alone(self, operation: requests.Operation, size_bytes: int) -> tuple[Answer, int]:
        requests.check(operation)
        answer, revision = await self._judge(requests.Txn(success=(operation,)), size_bytes)
        return answer.answers[0], revision

    async def _judge(self, txn: requests.Txn, size_bytes: int) -> tuple[TxnAnswer, int]:
        if size_bytes > errors.REQUEST_BYTES_MAX:
            raise errors.request_too_large()
        with codec.refusals():
            return await self._keyspace.txn(txn)
