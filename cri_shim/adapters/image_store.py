"""containerd's images, snapshots and leases, for :mod:`pilothouse.cri_shim.images`."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Self

from google.protobuf.field_mask_pb2 import FieldMask
from grpc import aio

from pilothouse.cri_shim.adapters.blobs import Blobs, Metadata
from pilothouse.cri_shim.adapters.containerd import METADATA, answer
from pilothouse.cri_shim.images.manifests import Descriptor, InvalidImage
from pilothouse.cri_shim.images.ports import Named, Usage
from pilothouse.protos.containerd import (
    diff_pb2,
    images_pb2,
    leases_pb2,
    snapshots_pb2,
    types_pb2,
)
from pilothouse.protos.containerd.diff_pb2_grpc import DiffStub
from pilothouse.protos.containerd.images_pb2_grpc import ImagesStub
from pilothouse.protos.containerd.leases_pb2_grpc import LeasesStub
from pilothouse.protos.containerd.snapshots_pb2_grpc import SnapshotsStub
from pilothouse.services.machinery.errors import AlreadyExists, ApiError, NotFound
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.rpc.errors import from_rpc

LEASE_SECONDS = 24 * 3600
"""What a killed process leaves behind ends with its lease."""
USAGE_SECONDS = 10.0
"""How long the sum of all snapshots is told again: counting walks their files."""
REFERENCE = "containerd.io/snapshot.ref"


class ImageStore(Blobs):
    """All that images need of containerd, in one snapshotter."""

    def __init__(
        self,
        channel: aio.Channel,
        snapshotter: str,
        clock: Clock,
        metadata: Metadata = METADATA,
    ) -> None:
        super().__init__(channel, metadata, clock)
        self._channel = channel
        self._snapshotter = snapshotter
        self._images = ImagesStub(channel)
        self._snapshots = SnapshotsStub(channel)
        self._diff = DiffStub(channel)
        self._leases = LeasesStub(channel)
        self._committed: dict[str, Usage] = {}
        self._counted = (-USAGE_SECONDS, Usage(0, 0))

    @contextlib.asynccontextmanager
    async def leased(self) -> AsyncIterator[Self]:
        """The same under a lease."""
        ends = datetime.fromtimestamp(self._clock.now() + LEASE_SECONDS, UTC)
        request = leases_pb2.CreateRequest(
            id=f"pilothouse-{uuid.uuid4()}",
            labels={"containerd.io/gc.expire": ends.strftime("%Y-%m-%dT%H:%M:%SZ")},
        )
        await answer(self._leases.Create(request, metadata=METADATA))
        metadata = (*METADATA, ("containerd-lease", request.id))
        try:
            yield type(self)(self._channel, self._snapshotter, self._clock, metadata)
        finally:
            ended = leases_pb2.DeleteRequest(id=request.id)
            with contextlib.suppress(NotFound):
                await answer(self._leases.Delete(ended, metadata=METADATA))

    async def names(self) -> Sequence[Named]:
        """All image records."""
        request = images_pb2.ListImagesRequest()
        found = await answer(self._images.List(request, metadata=self._metadata))
        return [
            Named(image.name, _descriptor(image.target), dict(image.labels))
            for image in found.images
        ]

    async def name(self, named: Named) -> None:
        """Make one, or point it elsewhere."""
        image = images_pb2.Image(name=named.name, labels=named.labels, target=_proto(named.target))
        try:
            request = images_pb2.CreateImageRequest(image=image)
            await answer(self._images.Create(request, metadata=self._metadata))
        except AlreadyExists:
            paths = ["target", *(f"labels.{name}" for name in named.labels)]
            update = images_pb2.UpdateImageRequest(image=image, update_mask=FieldMask(paths=paths))
            await answer(self._images.Update(update, metadata=self._metadata))

    async def forget(self, name: str, *, wait: bool) -> None:
        """Take a record away."""
        request = images_pb2.DeleteImageRequest(name=name, sync=wait)
        with contextlib.suppress(NotFound):
            await answer(self._images.Delete(request, metadata=self._metadata))

    async def has_snapshot(self, name: str) -> bool:
        """Whether it is committed."""
        request = snapshots_pb2.StatSnapshotRequest(snapshotter=self._snapshotter, key=name)
        try:
            found = await answer(self._snapshots.Stat(request, metadata=self._metadata))
        except NotFound:
            return False
        return found.info.kind == snapshots_pb2.COMMITTED

    async def unpack(self, layer: Descriptor, parent: str, name: str, diff_id: str) -> None:
        """Lay the layer on its parent and commit."""
        key = f"extract-{uuid.uuid4()} {name}"
        request = snapshots_pb2.PrepareSnapshotRequest(
            snapshotter=self._snapshotter, key=key, parent=parent, labels={REFERENCE: name}
        )
        try:
            made = await answer(self._snapshots.Prepare(request, metadata=self._metadata))
        except AlreadyExists:
            # A snapshotter that brings layers by itself has it.
            return
        try:
            apply = diff_pb2.ApplyRequest(diff=_proto(layer), mounts=made.mounts)
            found = await answer(self._diff.Apply(apply, metadata=self._metadata))
            _check(found.applied.digest, diff_id)
            commit = snapshots_pb2.CommitSnapshotRequest(
                snapshotter=self._snapshotter, name=name, key=key, labels={REFERENCE: name}
            )
            await answer(self._snapshots.Commit(commit, metadata=self._metadata))
        except BaseException as error:
            await self._remove(key)
            if isinstance(error, AlreadyExists):
                return
            raise

    async def _remove(self, key: str) -> None:
        request = snapshots_pb2.RemoveSnapshotRequest(snapshotter=self._snapshotter, key=key)
        with contextlib.suppress(ApiError):
            await answer(self._snapshots.Remove(request, metadata=self._metadata))

    async def usage(self) -> Usage:
        """Of all snapshots."""
        at, known = self._counted
        now = self._clock.monotonic()
        if now - at < USAGE_SECONDS:
            return known
        found: dict[str, Usage] = {}
        committed = set()
        request = snapshots_pb2.ListSnapshotsRequest(snapshotter=self._snapshotter)
        try:
            async for part in self._snapshots.List(request, metadata=self._metadata):
                for entry in part.info:
                    found[entry.name] = await self._usage_of(entry.name)
                    if entry.kind == snapshots_pb2.COMMITTED:
                        committed.add(entry.name)
        except aio.AioRpcError as error:
            raise from_rpc(error) from None
        self._committed = {name: found[name] for name in committed}
        total = Usage(
            sum(usage.bytes for usage in found.values()),
            sum(usage.inodes for usage in found.values()),
        )
        self._counted = now, total
        return total

    async def _usage_of(self, name: str) -> Usage:
        if name in self._committed:
            return self._committed[name]
        return await self.snapshot_usage(name)

    async def snapshot_usage(self, name: str) -> Usage:
        """Of one; nothing when it is gone."""
        request = snapshots_pb2.UsageRequest(snapshotter=self._snapshotter, key=name)
        try:
            found = await answer(self._snapshots.Usage(request, metadata=self._metadata))
        except NotFound:
            return Usage(0, 0)
        return Usage(found.size, found.inodes)


def _check(applied: str, diff_id: str) -> None:
    if applied != diff_id:
        raise InvalidImage(f"wrong diff id calculated on extraction {applied!r}")


def _descriptor(target: types_pb2.Descriptor) -> Descriptor:
    return Descriptor(target.digest, target.size, target.media_type)


def _proto(target: Descriptor) -> types_pb2.Descriptor:
    return types_pb2.Descriptor(
        media_type=target.media_type, digest=target.digest, size=target.size
    )
