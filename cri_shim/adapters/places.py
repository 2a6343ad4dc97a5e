"""The machine's side of sandboxes and containers, off the event loop."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pilothouse.cri_shim.adapters import files, kernel, machine, memory
from pilothouse.cri_shim.adapters.files import NodeFiles
from pilothouse.cri_shim.adapters.objects import ContainerdSnapshots
from pilothouse.cri_shim.configs import Device as AskedDevice
from pilothouse.cri_shim.configs import Mount
from pilothouse.cri_shim.oci.facts import Device, SandboxFiles
from pilothouse.cri_shim.oci.users import Accounts
from pilothouse.cri_shim.ports import Images, Mounted
from pilothouse.cri_shim.records import SandboxRecord
from pilothouse.services.machinery.errors import AlreadyExists, Invalid

SECCOMP_ROOT = Path("/var/lib/kubelet/seccomp")
IMAGES_KNOWN_MAX = 500


@dataclass
class NodeSandboxes:
    """Files, mounts and namespaces of sandboxes."""

    files: NodeFiles
    snapshots: ContainerdSnapshots
    hostname: str
    _copying: asyncio.Lock = field(default_factory=asyncio.Lock)

    def sandbox(self, id_: str, *, shares_ipc: bool) -> SandboxFiles:
        return self.files.sandbox(id_, shares_ipc=shares_ipc)

    def netns(self, id_: str) -> str:
        return str(self.files.netns(id_))

    async def make(self, record: SandboxRecord, files: SandboxFiles) -> None:
        await asyncio.to_thread(self.files.make_sandbox, record, files, self.hostname)

    async def release(self, record: SandboxRecord) -> None:
        """Its namespace and shared memory; fine when they are gone."""
        await asyncio.to_thread(self._release, record)

    def _release(self, record: SandboxRecord) -> None:
        if record.netns:
            kernel.remove_netns(Path(record.netns))
        self.files.release_sandbox(record.id)

    async def remove(self, record: SandboxRecord) -> None:
        await asyncio.to_thread(self.files.remove_sandbox, record.id)

    async def pause_root(self, chain_id: str) -> str:
        """The pause image's files, copied out the first time."""
        root = self.files.pause_root(chain_id)
        async with self._copying:
            if not root.is_dir():
                key = f"pilothouse-pause-{root.parent.name}"
                try:
                    mounts = await self.snapshots.view(key, chain_id)
                except AlreadyExists:
                    mounts = await self.snapshots.mounts(key)
                root.parent.mkdir(parents=True, exist_ok=True)
                await asyncio.to_thread(self.files.copy_pause, mounts, root)
                await self.snapshots.remove(key)
        return str(root)


@dataclass
class NodeContainers:
    """Files, mounts and devices of containers."""

    files: NodeFiles
    snapshots: ContainerdSnapshots
    images: Images
    _accounts: dict[str, Accounts] = field(default_factory=dict)

    async def accounts(self, chain_id: str, key: str, mounts: Sequence[Mounted]) -> Accounts:
        """An image's users and groups: the same for all its containers, so read once."""
        found = self._accounts.get(chain_id)
        if found is None:
            found = await asyncio.to_thread(self.files.accounts, mounts, key)
            if len(self._accounts) >= IMAGES_KNOWN_MAX:
                self._accounts.clear()
            self._accounts[chain_id] = found
        return found

    async def mounts(self, id_: str, asked: Sequence[Mount]) -> tuple[Mount, ...]:
        """The same with paths that exist; images are mounted, and become paths."""
        found = []
        for number, mount in enumerate(asked):
            if mount.image is not None and mount.image.image:
                path = await self._image(id_, number, mount)
            else:
                path = files.existing(mount)
            found.append(msgspec.structs.replace(mount, host_path=path))
        return tuple(found)

    async def _image(self, id_: str, number: int, mount: Mount) -> str:
        spec = mount.image
        image = await self.images.resolve(spec.image if spec else "")
        key = f"{id_}-{number}"
        mounts = await self.snapshots.view(key, image.chain_id)
        target = self.files.image_mount(id_, number)
        await asyncio.to_thread(kernel.mount_snapshot, mounts, target, read_only=True)
        if not mount.image_sub_path:
            return str(target)
        path = (target / mount.image_sub_path).resolve()
        if not path.is_relative_to(target.resolve()) or not path.exists():
            raise Invalid(f"{mount.container_path}: the image has no {mount.image_sub_path!r}")
        return str(path)

    async def volumes(
        self, id_: str, paths: Sequence[str], mounts: Sequence[Mounted]
    ) -> tuple[tuple[str, str], ...]:
        if not paths:
            return ()
        return await asyncio.to_thread(self.files.volumes, id_, paths, mounts)

    def devices(self, asked: tuple[AskedDevice, ...], *, privileged: bool) -> tuple[Device, ...]:
        return machine.devices(asked, privileged=privileged)

    def seccomp(self, localhost_ref: str) -> dict[str, Any]:
        """A profile of the node, by its path (absolute, or below the kubelet's folder)."""
        path = SECCOMP_ROOT / localhost_ref.removeprefix("localhost/")
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise Invalid(f"cannot load seccomp profile {str(path)!r}: {error}") from None
        return dict(found)

    def was_short_of_memory(self, cgroup_path: str) -> bool:
        return memory.was_short(cgroup_path)

    async def release(self, id_: str) -> None:
        """Unmount and remove what it had; fine when that is done."""
        held = list((self.files.state / "images").glob(f"{id_}-*"))
        await asyncio.to_thread(self.files.release_container, id_)
        for path in held:
            await self.snapshots.remove(path.name)
