"""Files and directories that sandboxes and containers have on the node. Everything here blocks."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pilothouse.cri_shim.adapters import kernel
from pilothouse.cri_shim.configs import DnsConfig, Mount
from pilothouse.cri_shim.oci.facts import SandboxFiles
from pilothouse.cri_shim.oci.users import Accounts
from pilothouse.cri_shim.ports import Mounted
from pilothouse.cri_shim.records import SandboxRecord
from pilothouse.services.machinery.errors import Invalid

SHM_BYTES = 64 * 1024 * 1024
NO_DEVICES = 2 | 4 | 8
"""nosuid, nodev, noexec."""
NODE_SHM = "/dev/shm"  # noqa: S108 - the node's own, for pods that share its ipc namespace


class NodeFiles:
    """Below ``root`` what outlives the machine's restart, below ``state`` mounts and sockets."""

    def __init__(self, root: Path, state: Path) -> None:
        self.root = root
        self.state = state

    def netns(self, id_: str) -> Path:
        """Where a sandbox's network namespace is kept."""
        return self.state / "netns" / id_

    def sandbox(self, id_: str, *, shares_ipc: bool) -> SandboxFiles:
        """Where a sandbox's files are; ``shares_ipc``: it uses the node's shared memory."""
        directory = self.root / "sandboxes" / id_
        shm = NODE_SHM if shares_ipc else str(self.state / "shm" / id_)
        return SandboxFiles(
            str(directory / "hostname"), str(directory / "hosts"), str(directory / "resolv.conf"),
            shm,
        )  # fmt: skip

    def make_sandbox(self, record: SandboxRecord, files: SandboxFiles, hostname: str) -> None:
        """Directory, files, shared memory and network namespace."""
        directory = Path(files.hosts).parent
        directory.mkdir(parents=True, mode=0o711)
        config = record.config
        Path(files.hostname).write_text(f"{config.hostname or hostname}\n")
        Path(files.hosts).write_text(_read(Path("/etc/hosts")))
        resolv = _resolv_conf(config.dns_config) or _read(Path("/etc/resolv.conf"))
        Path(files.resolv_conf).write_text(resolv)
        if files.shm != NODE_SHM:
            shm = Path(files.shm)
            shm.mkdir(parents=True)
            options = f"mode=1777,size={SHM_BYTES}"
            kernel.mount("shm", shm, "tmpfs", NO_DEVICES, options)
        if record.netns:
            kernel.make_netns(Path(record.netns))

    def release_sandbox(self, id_: str) -> None:
        """Unmount its shared memory; fine when that is done."""
        shm = self.state / "shm" / id_
        if shm.exists():
            kernel.unmount(shm)
            shm.rmdir()

    def remove_sandbox(self, id_: str) -> None:
        """All its files; fine when they are gone."""
        self.release_sandbox(id_)
        shutil.rmtree(self.root / "sandboxes" / id_, ignore_errors=True)

    def accounts(self, mounts: Sequence[Mounted], key: str) -> Accounts:
        """An image's users and groups, read in a snapshot of it."""
        target = self.state / "look" / key
        kernel.mount_snapshot(mounts, target, read_only=True)
        try:
            return Accounts(
                kernel.read_below(target, "/etc/passwd"), kernel.read_below(target, "/etc/group")
            )
        finally:
            kernel.unmount(target)
            target.rmdir()

    def pause_root(self, chain_id: str) -> Path:
        """Where the pause image's files are, for all sandboxes."""
        return self.root / "pause" / chain_id.removeprefix("sha256:")[:16] / "rootfs"

    def copy_pause(self, mounts: Sequence[Mounted], root: Path) -> None:
        """Copy the pause image's files: a directory can be shared, a mount would stay."""
        target = self.state / "look" / "pause"
        kernel.mount_snapshot(mounts, target, read_only=True)
        try:
            fresh = root.with_name("fresh")
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(target, fresh, symlinks=True)
            fresh.rename(root)
        finally:
            kernel.unmount(target)
            target.rmdir()

    def volumes(
        self, id_: str, paths: Sequence[str], mounts: Sequence[Mounted]
    ) -> tuple[tuple[str, str], ...]:
        """Directories for what the image calls volumes, with what the image has there."""
        if not paths:
            return ()
        target = self.state / "look" / id_
        kernel.mount_snapshot(mounts, target, read_only=True)
        found = []
        try:
            for number, path in enumerate(paths):
                directory = self.root / "containers" / id_ / "volumes" / str(number)
                directory.parent.mkdir(parents=True, exist_ok=True)
                source = target / path.lstrip("/")
                if source.is_dir() and not source.is_symlink():
                    shutil.copytree(source, directory, symlinks=True)
                    _own_as(source, directory)
                else:
                    directory.mkdir()
                found.append((str(directory), path))
        finally:
            kernel.unmount(target)
            target.rmdir()
        return tuple(found)

    def image_mount(self, id_: str, number: int) -> Path:
        """Where an image is mounted that a container has as a volume."""
        return self.state / "images" / f"{id_}-{number}"

    def release_container(self, id_: str) -> None:
        """Unmount and remove what it had; fine when that is done."""
        for path in (self.state / "images").glob(f"{id_}-*"):
            kernel.unmount(path)
            path.rmdir()
        shutil.rmtree(self.root / "containers" / id_, ignore_errors=True)


def _own_as(source: Path, made: Path) -> None:
    """Give copies the owners that the originals have."""
    for path in (made, *made.rglob("*")):
        found = (source / path.relative_to(made)).lstat()
        os.lchown(path, found.st_uid, found.st_gid)


def existing(mount: Mount) -> str:
    """The path that a mount means, made as a directory when there is none; Invalid if empty."""
    if not mount.host_path:
        raise Invalid(f"{mount.container_path}: no host path is given")
    path = Path(mount.host_path)
    if not path.exists():
        path.mkdir(parents=True, exist_ok=True)
    return str(path.resolve())


def _resolv_conf(dns: DnsConfig | None) -> str:
    if dns is None:
        return ""
    lines = [f"search {' '.join(dns.searches)}"] if dns.searches else []
    lines += [f"nameserver {server}" for server in dns.servers]
    lines += [f"options {' '.join(dns.options)}"] if dns.options else []
    return "".join(f"{line}\n" for line in lines)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
