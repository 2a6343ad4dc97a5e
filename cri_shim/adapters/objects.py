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
from pilothouse.cri_shim.concurrency import all_of
from pilothouse.cri_shim.ports import Mounted
from pilothouse.cri_shim.surroundings import Made
from pilothouse.protos.containerd import containers_pb2 as containers
from pilothouse.protos.containerd import namespaces_pb2 as namespaces
from pilothouse.protos.containerd import sandboxes_pb2 as sandboxes
from pilothouse.protos.containerd import snapshots_pb2 as snapshots
from pilothouse.protos.containerd.containers_pb2_grpc import ContainersStub
from pilothouse.protos.containerd.namespaces_pb2_grpc import NamespacesStub
from pilothouse.protos.containerd.sandboxes_pb2_grpc import StoreStub
from pilothouse.protos.containerd.snapshots_pb2_grpc import SnapshotsStub
from pilothouse.protos.containerd.version_pb2_grpc import VersionStub
from pilothouse.services.machinery.errors import AlreadyExists, MethodNotAllowed, NotFound

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
        self._kept = KeptShims(channel)
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
        await all_of(
            (
                answer(self._containers.Create(request, **_CALL)),
                self._kept.add(made.id, made.runtime),
            )
        )

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
        await all_of((self._delete(id_), self._kept.remove(id_)))

    async def _delete(self, id_: str) -> None:
        with suppress(NotFound):
            request = containers.DeleteContainerRequest(id=id_)
            await answer(self._containers.Delete(request, **_CALL))

    async def ids(self) -> set[str]:
        """Of all that is ours."""
        request = containers.ListContainersRequest(filters=[f'labels."{KIND}"'])
        found = await answer(self._containers.List(request, **_CALL))
        return {item.id for item in found.containers}


class KeptShims:
    """A containerd since 1.7 that starts anew forgets tasks that ended meanwhile, exit code and
    all, but for those whose ids are among its sandboxes. Before 1.7 it has none and keeps them.
    """

    def __init__(self, channel: aio.Channel) -> None:
        self._store = StoreStub(channel)
        self._is_needed = True

    async def add(self, id_: str, runtime: str) -> None:
        """Keep its shim. Without a runtime, containerd falls over."""
        shim = sandboxes.Sandbox(
            sandbox_id=id_, runtime=sandboxes.Sandbox.Runtime(name=runtime), labels={KIND: "shim"}
        )
        request = sandboxes.StoreCreateRequest(sandbox=shim)
        if self._is_needed:
            try:
                await answer(self._store.Create(request, **_CALL))
            except MethodNotAllowed:
                self._is_needed = False

    async def remove(self, id_: str) -> None:
        """Fine when it is not there."""
        request = sandboxes.StoreDeleteRequest(sandbox_id=id_)
        if self._is_needed:
            try:
                await answer(self._store.Delete(request, **_CALL))
            except MethodNotAllowed:
                self._is_needed = False
            except NotFound:
                return


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
