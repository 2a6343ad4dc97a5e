"""containerd's content store: blobs by their digest."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import aio

from pilothouse.cri_shim.adapters.containerd import answer
from pilothouse.cri_shim.images.manifests import Descriptor
from pilothouse.cri_shim.images.ports import Source
from pilothouse.protos.containerd import content_pb2
from pilothouse.protos.containerd.content_pb2_grpc import ContentStub
from pilothouse.services.machinery.errors import (
    AlreadyExists,
    ApiError,
    InternalError,
    Invalid,
    NotFound,
    ServiceUnavailable,
)
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.rpc.errors import from_rpc

Metadata = Sequence[tuple[str, str]]

TRIES_MAX = 5
"""Broken downloads in a row that bring nothing new."""
LOCKED_SECONDS = 0.5
"""Somebody else writes the same blob: how soon to look whether it is done."""
LOCKED_TRIES_MAX = 1200
READ_BYTES_MAX = 8 * 1024 * 1024


class Blobs:
    """With the headers of ``metadata``: a namespace, and a lease while something is brought in."""

    def __init__(self, channel: aio.Channel, metadata: Metadata, clock: Clock) -> None:
        self._stub = ContentStub(channel)
        self._metadata = tuple(metadata)
        self._clock = clock

    async def read(self, digest: str) -> bytes:
        """All of it."""
        request = content_pb2.ReadContentRequest(digest=digest)
        content = b""
        try:
            async for part in self._stub.Read(request, metadata=self._metadata):
                content += part.data
                if len(content) > READ_BYTES_MAX:
                    raise InternalError(f"{digest}: more than {READ_BYTES_MAX} bytes")
        except aio.AioRpcError as error:
            raise from_rpc(error) from None
        return content

    async def labels(self, digest: str) -> Mapping[str, str]:
        """Those of a blob."""
        request = content_pb2.InfoRequest(digest=digest)
        found = await answer(self._stub.Info(request, metadata=self._metadata))
        return dict(found.info.labels)

    async def label(self, digest: str, labels: Mapping[str, str]) -> None:
        """Add to them."""
        request = content_pb2.UpdateRequest(
            info=content_pb2.Info(digest=digest, labels=labels),
            update_mask=FieldMask(paths=[f"labels.{name}" for name in labels]),
        )
        await answer(self._stub.Update(request, metadata=self._metadata))

    async def write(self, ref: str, blob: Descriptor, source: Source) -> None:
        """Until it is there; a download that breaks goes on from where it was."""
        broken = locked = 0
        reached = -1
        while True:
            writing = _Writing(self._stub, self._metadata, ref, blob)
            try:
                await writing.run(source)
            except AlreadyExists:
                return
            except ServiceUnavailable:
                if writing.offset < 0:
                    locked += 1
                    if locked > LOCKED_TRIES_MAX:
                        raise
                    await self._clock.sleep(LOCKED_SECONDS)
                    continue
                broken = broken + 1 if writing.offset <= reached else 1
                reached = max(reached, writing.offset)
                if broken >= TRIES_MAX:
                    raise
            except (InternalError, Invalid):
                # What came is not what was promised: the next try shall not go on from it.
                await self._abort(ref)
                if not writing.is_resumed:
                    raise
            else:
                return

    async def _abort(self, ref: str) -> None:
        request = content_pb2.AbortRequest(ref=ref)
        with contextlib.suppress(NotFound):
            await answer(self._stub.Abort(request, metadata=self._metadata))


class _Writing:
    """One stream of writes; ``offset`` is negative until containerd has let us in."""

    def __init__(self, stub: ContentStub, metadata: Metadata, ref: str, blob: Descriptor) -> None:
        write: Any = stub.Write  # the types know no stream that is written to by hand
        self._call: Any = write(metadata=metadata)
        self._ref = ref
        self._blob = blob
        self.offset = -1
        self.is_resumed = False

    async def run(self, source: Source) -> None:
        """Write all that is missing, and commit."""
        try:
            self.offset = (await self._send(action=content_pb2.STAT)).offset
            self.is_resumed = self.offset > 0
            if self.offset < self._blob.size:
                await self._pump(source(self.offset))
            await self._send(action=content_pb2.COMMIT, offset=self.offset)
        except aio.AioRpcError as error:
            raise _translated(error) from None
        finally:
            self._call.cancel()

    async def _pump(self, chunks: AsyncIterator[bytes]) -> None:
        async for chunk in chunks:
            await self._send(action=content_pb2.WRITE, offset=self.offset, data=chunk)
            self.offset += len(chunk)

    async def _send(self, **fields: Any) -> content_pb2.WriteContentResponse:
        request = content_pb2.WriteContentRequest(
            ref=self._ref, total=self._blob.size, expected=self._blob.digest, **fields
        )
        await self._call.write(request)
        found: Any = await self._call.read()
        if found is aio.EOF:
            status = await self._call.code()
            raise InternalError(f"{self._ref}: containerd ended the write: {status}")
        response: content_pb2.WriteContentResponse = found
        return response


def _translated(error: aio.AioRpcError) -> ApiError:
    """containerd says FAILED_PRECONDITION where size or digest are not as promised."""
    if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
        return InternalError(error.details() or "failed precondition")
    return from_rpc(error)
