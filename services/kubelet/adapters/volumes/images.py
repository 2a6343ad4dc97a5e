"""Images as volumes: by the runtime where it can, else by ourselves from containerd's snapshots.

containerd's CRI mounts images since 2.1 and parts of them since 2.2, and our server always does.
Before that the same socket serves containerd's snapshots: a read-only view of the image's topmost
one is mounted in the pod's directory. Views carry the pod's uid, so that those of pods that are
gone are found.
"""

import contextlib
import json
import re
from pathlib import Path

from grpc import aio

from pilothouse.protos.containerd import snapshots_pb2 as snapshots
from pilothouse.protos.containerd import types_pb2 as types
from pilothouse.protos.containerd.snapshots_pb2_grpc import SnapshotsStub
from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.protos.cri.v1.api_pb2_grpc import ImageServiceStub, RuntimeServiceStub
from pilothouse.services.kubelet.adapters.cri.events import METADATA
from pilothouse.services.kubelet.adapters.volumes import mounts
from pilothouse.services.machinery.errors import (
    AlreadyExists,
    ApiError,
    InternalError,
    MethodNotAllowed,
    NotFound,
)
from pilothouse.services.runtime.rpc.errors import from_rpc

PLUGIN = "kubernetes.io~image"
POD_LABEL = "pilothouse.io/pod-uid"
ROOT_LABEL = "containerd.io/gc.root"
"""What carries it is never collected as garbage."""
OWN_SINCE = (2, 2)
SNAPSHOTTER = "overlayfs"
CALL_SECONDS_MAX = 120.0


class ImageVolumes:
    """Below ``root``/pods/UID/volumes/kubernetes.io~image."""

    def __init__(self, channel: aio.Channel, root: Path) -> None:
        self._pods = root / "pods"
        self._runtime = RuntimeServiceStub(channel)
        self._images = ImageServiceStub(channel)
        self._snapshots = SnapshotsStub(channel)
        self._by_runtime: bool | None = None
        self._snapshotter = SNAPSHOTTER

    async def mount(self, uid: str, volume: str, image: str) -> None:
        """Make it available to containers; ApiError when it can not be."""
        target = self._directory(uid) / volume
        if mounts.is_mount_point(target):
            return
        try:
            if self._by_runtime is None:
                self._by_runtime = await self._find_out()
            if self._by_runtime:
                return
            key = f"{uid}-{volume}"
            made = await self._view(uid, key, await self._chain_id(image))
        except aio.AioRpcError as error:
            raise from_rpc(error) from None
        try:
            target.mkdir(parents=True, exist_ok=True, mode=0o750)
            for one in made:
                mounts.mount_read_only(one.type, one.source, target, one.options)
        except OSError as error:
            raise InternalError(f'image "{image}": {error}') from None

    async def remove(self, uid: str) -> None:
        """Unmount all of a pod's; fine when there are none."""
        directory = self._directory(uid)
        if not directory.is_dir():
            return
        for target in directory.iterdir():
            mounts.unmount(target)
            with contextlib.suppress(aio.AioRpcError):
                await self._drop(f"{uid}-{target.name}")

    def _directory(self, uid: str) -> Path:
        return self._pods / uid / "volumes" / PLUGIN

    async def _find_out(self) -> bool:
        """Whether the runtime mounts images itself; the first time, clean up after others."""
        said = await self._runtime.Version(cri.VersionRequest(), timeout=CALL_SECONDS_MAX)
        numbers = re.match(r"v?(\d+)\.(\d+)", said.runtime_version)
        try:
            await self._sweep()
        except MethodNotAllowed:
            return True
        if numbers is not None and (int(numbers[1]), int(numbers[2])) >= OWN_SINCE:
            return True
        if found := await self._find_snapshotter():
            self._snapshotter = found
            await self._sweep()
        return False

    async def _find_snapshotter(self) -> str:
        """Since 2.0 its name is only in the directory's; before, it is told."""
        request = cri.StatusRequest(verbose=True)
        status = await self._runtime.Status(request, timeout=CALL_SECONDS_MAX)
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return str(json.loads(status.info["config"])["containerd"]["snapshotter"])
        used = await self._images.ImageFsInfo(cri.ImageFsInfoRequest(), timeout=CALL_SECONDS_MAX)
        for one in used.image_filesystems:
            _, is_one, name = one.fs_id.mountpoint.rpartition("/io.containerd.snapshotter.v1.")
            if is_one:
                return name
        return ""

    async def _sweep(self) -> None:
        """Drop the views of pods that have no directory any more."""
        request = snapshots.ListSnapshotsRequest(
            snapshotter=self._snapshotter, filters=[f'labels."{POD_LABEL}"']
        )
        gone = []
        try:
            async for part in self._snapshots.List(request, metadata=METADATA):
                gone += [
                    info.name
                    for info in part.info
                    if info.labels.get(POD_LABEL)
                    and not (self._pods / info.labels[POD_LABEL]).exists()
                ]
        except aio.AioRpcError as error:
            found = from_rpc(error)
            if isinstance(found, MethodNotAllowed):
                raise found from None
            return
        for key in gone:
            with contextlib.suppress(aio.AioRpcError):
                await self._drop(key)

    async def _chain_id(self, image: str) -> str:
        request = cri.ImageStatusRequest(image=cri.ImageSpec(image=image), verbose=True)
        found = await self._images.ImageStatus(request, timeout=CALL_SECONDS_MAX)
        if not found.HasField("image"):
            raise NotFound(f'image "{image}" is not at hand')
        try:
            return str(json.loads(found.info["info"])["chainID"])
        except (ValueError, KeyError, TypeError):
            text = "the runtime neither mounts images nor tells their snapshots"
            raise MethodNotAllowed(f'image "{image}": {text}') from None

    async def _view(self, uid: str, key: str, parent: str) -> list[types.Mount]:
        labels = {POD_LABEL: uid, ROOT_LABEL: "pilothouse"}
        request = snapshots.ViewSnapshotRequest(
            snapshotter=self._snapshotter, key=key, parent=parent, labels=labels
        )
        try:
            return list((await self._snapshots.View(request, metadata=METADATA)).mounts)
        except aio.AioRpcError as error:
            found: ApiError = from_rpc(error)
            if not isinstance(found, AlreadyExists):
                raise found from None
        again = snapshots.MountsRequest(snapshotter=self._snapshotter, key=key)
        return list((await self._snapshots.Mounts(again, metadata=METADATA)).mounts)

    async def _drop(self, key: str) -> None:
        request = snapshots.RemoveSnapshotRequest(snapshotter=self._snapshotter, key=key)
        await self._snapshots.Remove(request, metadata=METADATA)
