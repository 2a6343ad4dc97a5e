"""Storage on any etcd v3 endpoint: our own store's service, or a real etcd cluster."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import grpc
from grpc import aio

from pilothouse.protos.etcd import kv_pb2, rpc_pb2
from pilothouse.protos.etcd.rpc_pb2_grpc import KVStub, LeaseStub, MaintenanceStub, WatchStub
from pilothouse.services.machinery.storage import (
    Change,
    Changed,
    Compacted,
    Entry,
    Progress,
    Unavailable,
    Undecided,
)
from pilothouse.services.runtime.clock import Clock, SystemClock
from pilothouse.services.runtime.rpc.channel import OPTIONS
from pilothouse.services.runtime.rpc.errors import from_rpc
from pilothouse.services.runtime.rpc.tls import Identity

PAGE_ENTRIES = 2_000
REQUEST_SECONDS = 5.0
RECONNECT_SECONDS = 0.2
LEASE_KEYS_MAX = 1_000
MARK = b"progress"
"""The last segment of a key that says nothing: its change tells how far a watch has come."""

_Answer = TypeVar("_Answer")

# etcd takes pings on a connection without streams for an attack.
_OPTIONS = tuple(option for option in OPTIONS if option[0] != "grpc.keepalive_permit_without_calls")
_GONE = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        # What gRPC itself says when a connection breaks in the middle.
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)


class _Endpoint:
    """One server and its stubs."""

    def __init__(self, address: str, identity: Identity | None) -> None:
        scheme, _, rest = address.rpartition("://")
        target = f"unix://{rest}" if scheme == "unix" else rest
        if scheme == "https" or (identity is not None and scheme != "unix"):
            credentials = (
                identity.client() if identity is not None else grpc.ssl_channel_credentials()
            )
            self.channel = aio.secure_channel(target, credentials, options=_OPTIONS)
        else:
            self.channel = aio.insecure_channel(target, options=_OPTIONS)
        self.kv = KVStub(self.channel)
        self.watch = WatchStub(self.channel)
        self.lease = LeaseStub(self.channel)
        self.maintenance = MaintenanceStub(self.channel)


@dataclass(slots=True)
class _SharedLease:
    """A lease that keys of one time to live share until it is too old or too full."""

    id: int
    deadline: float
    keys: int = 0


class EtcdStorage:
    """Storage over gRPC. Calls go to one endpoint, and on to the next when it does not answer."""

    def __init__(self, endpoints: Sequence[_Endpoint], clock: Clock) -> None:
        self._endpoints = endpoints
        self._clock = clock
        self._at = 0
        self._leases: dict[int, _SharedLease] = {}
        self._granting = asyncio.Lock()
        self._watched: dict[object, bytes] = {}
        self._marking = asyncio.Lock()
        self._marks_begun = self._marked = 0
        self._closed = False

    async def load(self, prefix: bytes, revision: int = 0) -> tuple[Sequence[Entry], int]:
        """Every live entry under ``prefix``, by key, read in pages at one revision."""
        while True:
            try:
                return await self._load(prefix, revision)
            except Compacted:
                if revision:
                    raise

    async def put(self, key: bytes, value: bytes, *, expect: int, ttl_seconds: int = 0) -> int:
        """Write if ``mod_revision`` is ``expect`` (0: absent), else raise Changed; its revision."""
        lease = await self._lease(ttl_seconds) if ttl_seconds else 0
        put = rpc_pb2.RequestOp(request_put=rpc_pb2.PutRequest(key=key, value=value, lease=lease))
        try:
            response = await self._if_unchanged(key, expect, put)
        except _LeaseGone:
            # Someone else revoked the lease that we share: forget it.
            self._leases.pop(ttl_seconds, None)
            return await self.put(key, value, expect=expect, ttl_seconds=ttl_seconds)
        return response.header.revision

    async def delete(self, key: bytes, *, expect: int) -> int:
        """Delete if ``mod_revision`` is ``expect``, else raise Changed; the deletion's revision."""
        delete = rpc_pb2.RequestOp(request_delete_range=rpc_pb2.DeleteRangeRequest(key=key))
        response = await self._if_unchanged(key, expect, delete)
        if not response.responses[0].response_delete_range.deleted:
            raise Changed(key, None)
        return response.header.revision

    async def watch(self, prefix: bytes, after: int) -> AsyncIterator[Sequence[Change] | Progress]:
        """Every change after revision ``after``; connects again where a stream ends.

        The queue of a slow consumer is etcd's and HTTP/2's window. Raises Compacted where history
        does not reach back so far, and Unavailable when closed.
        """
        first = True
        while not self._closed:
            if not first:
                await self._clock.sleep(RECONNECT_SECONDS)
            first = False
            try:
                async with contextlib.aclosing(self._watch(prefix, after)) as batches:
                    async for batch, reached in batches:
                        after = max(after, reached)
                        yield batch or Progress(after)
            except aio.AioRpcError as error:
                if error.code() not in _GONE:
                    raise from_rpc(error) from error
            except asyncio.CancelledError:
                self._raise_if_closed()
                raise
            self._at += 1
        raise Unavailable("the connection to etcd is closed")

    async def progress(self) -> None:
        """Have the watches say how far they are: a mark of our own comes after all before it.

        etcd could be asked, but before 3.4.25 and 3.5.8 it answers for what it has yet to send.
        One mark is enough for all who came before it was made.
        """
        came = self._marks_begun
        async with self._marking:
            if self._marked > came:
                return
            self._marks_begun += 1
            begun = self._marks_begun
            for prefix in set(self._watched.values()):
                request = rpc_pb2.PutRequest(key=prefix + MARK)
                await self._call(partial(_put, request))
            self._marked = begun

    def newest(self) -> int | None:
        """Others write too: unknown."""
        return None

    async def revision(self) -> int:
        """The newest revision, linearizable."""
        request = rpc_pb2.RangeRequest(key=b"\0", count_only=True)
        response = await self._call(lambda at: at.kv.Range(request, timeout=REQUEST_SECONDS))
        return response.header.revision

    async def compact(self, revision: int) -> None:
        """Forget history before ``revision``; nothing to do where that is already so."""
        request = rpc_pb2.CompactionRequest(revision=revision)
        with contextlib.suppress(Compacted):
            await self._call(lambda at: at.kv.Compact(request, timeout=REQUEST_SECONDS))

    async def size(self) -> int:
        """The bytes that the database of the endpoint in use takes on its disk."""
        request = rpc_pb2.StatusRequest()
        status = await self._call(
            lambda at: at.maintenance.Status(request, timeout=REQUEST_SECONDS)
        )
        return status.dbSize

    async def close(self) -> None:
        """End the watches, let go of the connections."""
        self._closed = True
        for endpoint in self._endpoints:
            await endpoint.channel.close()

    async def _load(self, prefix: bytes, revision: int) -> tuple[list[Entry], int]:
        entries: list[Entry] = []
        key, end = _range(prefix)
        while True:
            request = rpc_pb2.RangeRequest(
                key=key, range_end=end, limit=PAGE_ENTRIES, revision=revision
            )
            page = await self._call(partial(_read, request))
            entries += map(_entry, page.kvs)
            revision = revision or page.header.revision
            if not page.more:
                return entries, revision
            key = page.kvs[-1].key + b"\0"

    async def _if_unchanged(
        self, key: bytes, expect: int, operation: rpc_pb2.RequestOp
    ) -> rpc_pb2.TxnResponse:
        look = rpc_pb2.RequestOp(request_range=rpc_pb2.RangeRequest(key=key))
        compare = rpc_pb2.Compare(
            key=key,
            target=rpc_pb2.Compare.MOD,
            result=rpc_pb2.Compare.EQUAL,
            mod_revision=expect,
        )
        txn = rpc_pb2.TxnRequest(compare=[compare], success=[operation], failure=[look])
        response = await self._call(lambda at: at.kv.Txn(txn, timeout=REQUEST_SECONDS))
        if not response.succeeded:
            found = response.responses[0].response_range.kvs
            raise Changed(key, _entry(found[0]) if found else None)
        return response

    async def _watch(
        self, prefix: bytes, after: int
    ) -> AsyncGenerator[tuple[Sequence[Change], int], None]:
        """One stream: batches of whole revisions, and the revision up to which that is all."""
        key, end = _range(prefix)
        create = rpc_pb2.WatchCreateRequest(
            key=key,
            range_end=end,
            start_revision=after + 1,
            prev_kv=True,
            progress_notify=True,
            fragment=True,
        )
        stream = self._endpoint().watch.Watch()
        try:
            await stream.write(rpc_pb2.WatchRequest(create_request=create))
            self._watched[stream] = prefix
            batch: list[Change] = []
            async for response in stream:
                if response.canceled:
                    if response.compact_revision:
                        raise Compacted(response.compact_revision)
                    raise Unavailable(response.cancel_reason or "etcd cancelled the watch")
                batch += map(_change, response.events)
                if response.fragment or response.created:
                    continue
                # A batch can come before others of its time: only its own revisions are certain.
                yield batch, batch[-1].revision if batch else response.header.revision
                batch = []
        finally:
            self._watched.pop(stream, None)
            stream.cancel()

    async def _lease(self, ttl_seconds: int) -> int:
        async with self._granting:
            now = self._clock.monotonic()
            shared = self._leases.get(ttl_seconds)
            if (
                shared is None
                or shared.keys >= LEASE_KEYS_MAX
                or shared.deadline < now + ttl_seconds
            ):
                lifetime = ttl_seconds + min(max(ttl_seconds // 20, 1), 60)
                request = rpc_pb2.LeaseGrantRequest(TTL=lifetime)
                granted = await self._call(
                    lambda at: at.lease.LeaseGrant(request, timeout=REQUEST_SECONDS)
                )
                shared = self._leases[ttl_seconds] = _SharedLease(granted.ID, now + lifetime)
            shared.keys += 1
            return shared.id

    async def _call(self, call: Callable[[_Endpoint], Awaitable[_Answer]]) -> _Answer:
        """Call the endpoint in use; a refusal becomes one of Storage's own.

        What certainly did not happen is asked of each endpoint in turn. A write whose answer was
        lost may have happened, so that is not sent twice.
        """
        for last in (*(False for _ in self._endpoints[1:]), True):
            try:
                return await self._ask(call)
            except Undecided:
                raise
            except Unavailable:
                if last:
                    raise
        raise Unavailable("there is no etcd endpoint")

    async def _ask(self, call: Callable[[_Endpoint], Awaitable[_Answer]]) -> _Answer:
        if self._closed:
            raise Unavailable("the connection to etcd is closed")
        at = self._at
        try:
            return await call(self._endpoint())
        except asyncio.CancelledError:
            self._raise_if_closed()
            raise
        except aio.AioRpcError as error:
            if error.code() in _GONE:
                if self._at == at:
                    self._at += 1
                lost = Unavailable if _unsent(error) else Undecided
                raise lost(f"etcd: {error.details()}") from error
            details = error.details() or ""
            if error.code() is grpc.StatusCode.NOT_FOUND and "lease" in details:
                raise _LeaseGone(details) from error
            if error.code() is grpc.StatusCode.OUT_OF_RANGE:
                if "compacted" in details:
                    raise Compacted(0) from error
                raise ValueError(details) from error
            raise from_rpc(error) from error

    def _raise_if_closed(self) -> None:
        """Closing a channel cancels its calls, which looks like the caller's own cancellation."""
        task = asyncio.current_task()
        if self._closed and (task is None or not task.cancelling()):
            raise Unavailable("the connection to etcd is closed")

    def _endpoint(self) -> _Endpoint:
        return self._endpoints[self._at % len(self._endpoints)]


def _unsent(error: aio.AioRpcError) -> bool:
    """Whether etcd certainly did nothing: it was not reached, or refused."""
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return True
    return error.code() is grpc.StatusCode.UNAVAILABLE and "failed to connect" in (
        error.details() or ""
    )


class _LeaseGone(Exception):
    """The lease that a put named is not there."""


async def open_etcd(
    endpoints: Sequence[str], identity: Identity | None = None, *, clock: Clock | None = None
) -> EtcdStorage:
    """Storage on these endpoints: ``https://host:port``, ``http://…`` or ``unix:///path``.

    With an identity, TCP is mutual TLS. Connects when first used, so it raises nothing.
    """
    if not endpoints:
        raise ValueError("no etcd endpoint is given")
    return EtcdStorage(
        [_Endpoint(endpoint, identity) for endpoint in endpoints], clock or SystemClock()
    )


async def _read(request: rpc_pb2.RangeRequest, at: _Endpoint) -> rpc_pb2.RangeResponse:
    return await at.kv.Range(request, timeout=REQUEST_SECONDS)


async def _put(request: rpc_pb2.PutRequest, at: _Endpoint) -> rpc_pb2.PutResponse:
    return await at.kv.Put(request, timeout=REQUEST_SECONDS)


def _range(prefix: bytes) -> tuple[bytes, bytes]:
    """The key and range_end that mean a prefix."""
    kept = prefix.rstrip(b"\xff")
    end = kept[:-1] + bytes([kept[-1] + 1]) if kept else b"\0"
    return prefix or b"\0", end


def _entry(kv: kv_pb2.KeyValue) -> Entry:
    return Entry(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def _change(event: kv_pb2.Event) -> Change:
    return Change(
        key=event.kv.key,
        revision=event.kv.mod_revision,
        entry=_entry(event.kv) if event.type == kv_pb2.Event.PUT else None,
        previous=_entry(event.prev_kv) if event.HasField("prev_kv") else None,
    )
