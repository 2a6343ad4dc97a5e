"""Between etcd's messages and the store's values."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Any, TypeVar

from pilothouse.protos.etcd import kv_pb2, rpc_pb2
from pilothouse.services.machinery.storage import Change, Compacted, Entry, Unavailable
from pilothouse.services.store import errors
from pilothouse.services.store.requests import (
    Bounds,
    Compare,
    DeleteRange,
    Field,
    Operation,
    Put,
    Range,
    Relation,
    Sort,
    Target,
    Txn,
)
from pilothouse.services.store.txn import (
    Answer,
    DeleteAnswer,
    PutAnswer,
    RangeAnswer,
    TxnAnswer,
)

_Enum = TypeVar("_Enum", bound=IntEnum)


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn what the store raises into what etcd's clients expect."""
    try:
        yield
    except Unavailable as error:
        raise errors.unavailable(str(error)) from error
    except Compacted as error:
        raise errors.compacted() from error


def decode_range(request: rpc_pb2.RangeRequest) -> Range:
    return Range(
        key=request.key,
        range_end=request.range_end,
        limit=request.limit,
        revision=request.revision,
        order=_enum(Sort, request.sort_order, "sort_order"),
        target=_enum(Target, request.sort_target, "sort_target"),
        keys_only=request.keys_only,
        count_only=request.count_only,
        bounds=Bounds(
            request.min_mod_revision,
            request.max_mod_revision,
            request.min_create_revision,
            request.max_create_revision,
        ),
    )


def decode_put(request: rpc_pb2.PutRequest) -> Put:
    return Put(
        request.key,
        request.value,
        request.lease,
        prev_kv=request.prev_kv,
        ignore_value=request.ignore_value,
        ignore_lease=request.ignore_lease,
    )


def decode_delete(request: rpc_pb2.DeleteRangeRequest) -> DeleteRange:
    return DeleteRange(request.key, request.range_end, prev_kv=request.prev_kv)


def decode_txn(request: rpc_pb2.TxnRequest) -> Txn:
    return Txn(
        [_decode_compare(compare) for compare in request.compare],
        [_decode_operation(operation) for operation in request.success],
        [_decode_operation(operation) for operation in request.failure],
    )


def _decode_operation(operation: rpc_pb2.RequestOp) -> Operation:
    kind = operation.WhichOneof("request")
    if kind == "request_range":
        return decode_range(operation.request_range)
    if kind == "request_put":
        return decode_put(operation.request_put)
    if kind == "request_delete_range":
        return decode_delete(operation.request_delete_range)
    if kind == "request_txn":
        return decode_txn(operation.request_txn)
    raise errors.key_not_found()


def _decode_compare(compare: rpc_pb2.Compare) -> Compare:
    field = _enum(Field, compare.target, "compare target")
    # The field that the target names counts, whichever of the union was sent.
    values: dict[Field, int | bytes] = {
        Field.VERSION: compare.version,
        Field.CREATE: compare.create_revision,
        Field.MOD: compare.mod_revision,
        Field.VALUE: compare.value,
        Field.LEASE: compare.lease,
    }
    relation = _enum(Relation, compare.result, "compare result")
    return Compare(compare.key, field, relation, values[field], compare.range_end)


def _enum(kind: type[_Enum], value: int, name: str) -> _Enum:
    try:
        return kind(value)
    except ValueError:
        errors.refuse(f"{name} {value}")


def encode_entry(entry: Entry, *, keys_only: bool = False) -> kv_pb2.KeyValue:
    return kv_pb2.KeyValue(
        key=entry.key,
        create_revision=entry.create_revision,
        mod_revision=entry.mod_revision,
        version=entry.version,
        value=b"" if keys_only else entry.value,
        lease=entry.lease,
    )


def encode_event(change: Change, *, prev_kv: bool) -> kv_pb2.Event:
    """A put carries the key as it is now; a deletion only the key and when it went."""
    previous = change.previous if prev_kv else None
    return kv_pb2.Event(
        type=kv_pb2.Event.PUT if change.entry is not None else kv_pb2.Event.DELETE,
        kv=(
            encode_entry(change.entry)
            if change.entry is not None
            else kv_pb2.KeyValue(key=change.key, mod_revision=change.revision)
        ),
        prev_kv=encode_entry(previous) if previous is not None else None,
    )


def encode_range(answer: RangeAnswer, header: rpc_pb2.ResponseHeader) -> rpc_pb2.RangeResponse:
    return rpc_pb2.RangeResponse(
        header=header,
        kvs=[encode_entry(entry, keys_only=answer.keys_only) for entry in answer.entries],
        more=answer.more,
        count=answer.count,
    )


def encode_put(answer: PutAnswer, header: rpc_pb2.ResponseHeader) -> rpc_pb2.PutResponse:
    previous = answer.previous
    return rpc_pb2.PutResponse(
        header=header, prev_kv=encode_entry(previous) if previous is not None else None
    )


def encode_delete(
    answer: DeleteAnswer, header: rpc_pb2.ResponseHeader
) -> rpc_pb2.DeleteRangeResponse:
    return rpc_pb2.DeleteRangeResponse(
        header=header, deleted=answer.deleted, prev_kvs=map(encode_entry, answer.previous)
    )


def encode_txn(answer: TxnAnswer, header: rpc_pb2.ResponseHeader) -> rpc_pb2.TxnResponse:
    return rpc_pb2.TxnResponse(
        header=header,
        succeeded=answer.succeeded,
        responses=map(_encode_answer, answer.answers),
    )


def _encode_answer(answer: Answer) -> rpc_pb2.ResponseOp:
    """Answers within have headers of their own: with a revision only, a txn's with nothing."""
    if isinstance(answer, TxnAnswer):
        return rpc_pb2.ResponseOp(response_txn=encode_txn(answer, rpc_pb2.ResponseHeader()))
    header = rpc_pb2.ResponseHeader(revision=answer.revision)
    if isinstance(answer, RangeAnswer):
        return rpc_pb2.ResponseOp(response_range=encode_range(answer, header))
    if isinstance(answer, PutAnswer):
        return rpc_pb2.ResponseOp(response_put=encode_put(answer, header))
    return rpc_pb2.ResponseOp(response_delete_range=encode_delete(answer, header))


def split(events: Iterable[kv_pb2.Event], bytes_max: int) -> Sequence[Sequence[kv_pb2.Event]]:
    """Events in parts of at most so many bytes, each at least one event."""
    parts: list[list[Any]] = [[]]
    size = 0
    for event in events:
        if parts[-1] and size + event.ByteSize() > bytes_max:
            parts.append([])
            size = 0
        parts[-1].append(event)
        size += event.ByteSize()
    return parts
