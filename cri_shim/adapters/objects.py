"""Containers and snapshots as containerd keeps them: what a task is created from."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import aio

from pilothouse.cri_shim.adapters.containerd import CALL_SECONDS_MAX, METADATA, SPEC_URL, answer
from pilothouse.cri_shim.ports import Mounted
from pilothouse.cri_shim.surroundings import Made
from pilothouse.protos.containerd import containers_pb2 as containers
from pilothouse.protos.containerd import namespaces_pb2 as namespaces
from pilothouse.protos.containerd import snapshots_pb2 as snapshots
from pilothouse.protos.containerd.containers_pb2_grpc import ContainersStub
from pilothouse.protos.containerd.namespaces_pb2_grpc import NamespacesStub
from pilothouse.protos.containerd.snapshots_pb2_grpc import SnapshotsStub
from pilothouse.protos.containerd.version_pb2_grpc import VersionStub
from pilothouse.services.machinery.errors import AlreadyExists, NotFound

KIND = "pilothouse.cri/kind"
"""The label of what is ours: sandbox or container."""
ROOT = {"containerd.io/gc.root": "pilothouse"}
"""What garbage collection leaves alone, so that no lease is needed while something is made."""

_CALL: Any = {"metadata": METADATA, "timeout": CALL_SECONDS_MAX}


class ContainerdObjects:
    """The metadata of containers. Only those that carry our label are seen."""

    def __init__(self, channel: aio.Channel) -> None:
        self._containers = ContainersStub(channel)
        self._namespaces = NamespacesStub(channel)
        self._version = VersionStub(channel)

    async def version(self) -> str:
        """containerd's own."""
        return (await answer(self._version.Version(Empty(), timeout=10.0))).version

    async def ensure_namespace(self, name: str) -> None:
        """Make it, unless it is there."""
        request = namespaces.CreateNamespaceRequest(namespace=namespaces.Namespace(name=name))
        with suppress(AlreadyExists):
            await answer(self._namespaces.Create(request, **_CALL))

    async def create(self, made: Made) -> None:
        message = containers.Container(
            id=made.id,
            labels={KIND: made.kind, **made.labels},
            image=made.image,
            runtime=containers.Container.Runtime(name=made.runtime),
            spec=AnyMessage(type_url=SPEC_URL, value=msgspec.json.encode(made.spec)),
            snapshotter=made.snapshotter,
            snapshot_key=made.snapshot_key,
        )
        request = containers.CreateContainerRequest(container=message)
        await answer(self._containers.Create(request, **_CALL))

    async def update_spec(self, id_: str, change: Mapping[str, Any]) -> None:
        """Other limits for what is not started yet: ``change`` is linux.resources, in part."""
        got = await answer(self._containers.Get(containers.GetContainerRequest(id=id_), **_CALL))
        spec = msgspec.json.decode(got.container.spec.value)
        spec["linux"]["resources"] |= change
        message = containers.Container(
            id=id_, spec=AnyMessage(type_url=SPEC_URL, value=msgspec.json.encode(spec))
        )
        mask = FieldMask(paths=["spec"])
        request = containers.UpdateContainerRequest(container=message, update_mask=mask)
        await answer(self._containers.Update(request, **_CALL))

    async def delete(self, id_: str) -> None:
        """Fine when it is gone."""
        with suppress(NotFound):
            request = containers.DeleteContainerRequest(id=id_)
            await answer(self._containers.Delete(request, **_CALL))

    async def ids(self) -> set[str]:
        """Of all that is ours."""
        request = containers.ListContainersRequest(filters=[f'labels."{KIND}"'])
        found = await answer(self._containers.List(request, **_CALL))
        return {item.id for item in found.containers}


class ContainerdSnapshots:
    """Root file systems of one snapshotter."""

    def __init__(self, channel: aio.Channel, name: str) -> None:
        self._snapshots = SnapshotsStub(channel)
        self.name = name

    async def prepare(self, key: str, parent: str) -> list[Mounted]:
        """A root to write in, on top of ``parent``; how to mount it."""
        request = snapshots.PrepareSnapshotRequest(
            snapshotter=self.name, key=key, parent=parent, labels=ROOT
        )
        found = await answer(self._snapshots.Prepare(request, **_CALL))
        return [_mounted(item) for item in found.mounts]

    async def view(self, key: str, parent: str) -> list[Mounted]:
        """A root to read; how to mount it."""
        request = snapshots.ViewSnapshotRequest(
            snapshotter=self.name, key=key, parent=parent, labels=ROOT
        )
        found = await answer(self._snapshots.View(request, **_CALL))
        return [_mounted(item) for item in found.mounts]

    async def mounts(self, key: str) -> list[Mounted]:
        """How to mount what was prepared."""
        request = snapshots.MountsRequest(snapshotter=self.name, key=key)
        found = await answer(self._snapshots.Mounts(request, **_CALL))
        return [_mounted(item) for item in found.mounts]

    async def remove(self, key: str) -> None:
        """Fine when it is gone."""
        with suppress(NotFound):
            request = snapshots.RemoveSnapshotRequest(snapshotter=self.name, key=key)
            await answer(self._snapshots.Remove(request, **_CALL))


def _mounted(item: Any) -> Mounted:
    return Mounted(item.type, item.source, tuple(item.options), item.target)
