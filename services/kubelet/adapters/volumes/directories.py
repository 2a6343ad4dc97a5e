"""A pod's directories on the node: volumes, hosts file, termination messages."""

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pilothouse.services.kubelet.adapters.volumes import (
    atomic_files,
    beneath,
    host_paths,
    mounts,
    owning,
)
from pilothouse.services.kubelet.pod.configs import Mount, host_network_hosts_file, hosts_file
from pilothouse.services.kubelet.pod.downward import Surroundings
from pilothouse.services.kubelet.pod.environment import expand_known
from pilothouse.services.kubelet.pod.views import Container, Pod
from pilothouse.services.kubelet.ports import Claims, VolumeSources
from pilothouse.services.kubelet.volumes import payload
from pilothouse.services.kubelet.volumes.claimed import Place, claim_name
from pilothouse.services.kubelet.volumes.emptied import huge_page_size, memory_bytes
from pilothouse.services.kubelet.volumes.sources import (
    EmptyDirSource,
    Projection,
    Volume,
    VolumeMount,
    projections,
)
from pilothouse.services.machinery.errors import ApiError, BadRequest

HOSTS = Path("/etc/hosts")

_PLUGIN = {
    "empty_dir": "kubernetes.io~empty-dir",
    "config_map": "kubernetes.io~configmap",
    "secret": "kubernetes.io~secret",
    "downward_api": "kubernetes.io~downward-api",
    "projected": "kubernetes.io~projected",
    "image": "kubernetes.io~image",
}
_READ_ONLY = ("config_map", "secret", "downward_api", "projected", "image")
_IN_MEMORY = ("secret", "downward_api", "projected")
"""What they hold is not to be found on a disk."""


class NodeVolumes:
    """Below ``root``/pods/UID, laid out as Kubernetes does."""

    def __init__(
        self,
        root: Path,
        sources: VolumeSources,
        place: Surroundings,
        domain: str,
        claims: Claims | None = None,
    ) -> None:
        """``domain`` is the cluster's; without ``claims`` there are no volumes made of them."""
        self._claims = claims
        self._pods = root / "pods"
        self._sources = sources
        self._place = place
        self._domain = domain

    def directory(self, uid: str) -> Path:
        """All that the kubelet keeps of this pod."""
        return self._pods / uid

    def pods(self) -> list[str]:
        """Uids of pods that have a directory."""
        return [entry.name for entry in self._pods.iterdir()] if self._pods.is_dir() else []

    async def prepare(
        self, pod: Pod, ips: Sequence[str], changed: Callable[[], None]
    ) -> float | None:
        """Make them as they should be; when to look again, if ever."""
        self.directory(pod.uid).mkdir(parents=True, exist_ok=True, mode=0o750)
        again: list[float] = []
        for volume in pod.spec.volumes:
            try:
                due = await self._prepare_one(pod, volume, ips, changed)
            except (ApiError, OSError) as error:
                text = f'MountVolume.SetUp failed for volume "{volume.name}" : {error}'
                raise BadRequest(text) from None
            if due is not None:
                again.append(due)
        return min(again, default=None)

    async def _prepare_one(
        self, pod: Pod, volume: Volume, ips: Sequence[str], changed: Callable[[], None]
    ) -> float | None:
        parts, mode = projections(volume)
        if parts or volume.projected is not None:
            found, due = await self._sources.fetch(pod, volume, parts, changed)
            self._project(pod, volume, parts, mode, found, ips)
            return due
        if volume.empty_dir is not None:
            self._empty(pod, volume, volume.empty_dir)
        elif volume.host_path is not None:
            # A path on the host may lie on a network that does not answer.
            await asyncio.to_thread(host_paths.check, volume.host_path)
        elif volume.image is not None:
            # It is pulled, and mounted, when a container that wants it starts.
            return None
        elif claim_name(pod, volume) and self._claims is not None:
            await self._claimed(pod, volume, self._claims, changed)
        else:
            raise BadRequest("its kind is not supported")
        return None

    async def _claimed(
        self, pod: Pod, volume: Volume, claims: Claims, changed: Callable[[], None]
    ) -> None:
        place = await claims.locate(pod, volume, changed)
        await asyncio.to_thread(host_paths.check, place.source)
        context = pod.spec.security_context
        if place.owned and context.fs_group is not None and not place.read_only:
            policy = context.fs_group_change_policy
            await asyncio.to_thread(owning.give, Path(place.source.path), context.fs_group, policy)

    def _project(
        self,
        pod: Pod,
        volume: Volume,
        parts: tuple[Projection, ...],
        mode: int,
        found: payload.Found,
        ips: Sequence[str],
    ) -> None:
        around = Surroundings(self._place.host_ip, tuple(ips), self._place.allocatable)
        files = payload.build(pod, parts, mode, found, around)
        path = self._path(pod, volume)
        if any(getattr(volume, name) is not None for name in _IN_MEMORY):
            path.mkdir(parents=True, exist_ok=True)
            if not mounts.is_mounted(path):
                mounts.mount_tmpfs(path, 0)
        atomic_files.write(path, files, pod.spec.security_context.fs_group)

    def _empty(self, pod: Pod, volume: Volume, source: EmptyDirSource) -> None:
        path = self._path(pod, volume)
        if path.is_dir() and (not source.medium or mounts.is_mounted(path)):
            return
        path.mkdir(parents=True, exist_ok=True)
        if source.medium == "Memory":
            mounts.mount_tmpfs(path, memory_bytes(pod, source, self._place.allocatable or {}))
        elif source.medium.startswith("HugePages"):
            mounts.mount_huge_pages(path, huge_page_size(pod, source.medium))
        path.chmod(0o777)
        group = pod.spec.security_context.fs_group
        if group is not None:
            os.chown(path, -1, group)
            path.chmod(0o2777)

    def _path(self, pod: Pod, volume: Volume) -> Path:
        if volume.host_path is not None:
            return Path(volume.host_path.path)
        if claim_name(pod, volume):
            return Path(self._place_of(pod, volume).source.path)
        plugin = next(name for field, name in _PLUGIN.items() if getattr(volume, field) is not None)
        return self.directory(pod.uid) / "volumes" / plugin / volume.name

    def _place_of(self, pod: Pod, volume: Volume) -> Place:
        found = self._claims.found(pod.uid, volume.name) if self._claims is not None else None
        if found is None:
            raise BadRequest(f"volume {volume.name!r} is not there yet")
        return found

    def _is_read_only(self, pod: Pod, volume: Volume) -> bool:
        if claim_name(pod, volume):
            return self._place_of(pod, volume).read_only
        return any(getattr(volume, name) is not None for name in _READ_ONLY)

    def mounts(
        self,
        pod: Pod,
        container: Container,
        attempt: int,
        env: Mapping[str, str],
        ips: Sequence[str],
    ) -> list[Mount]:
        """What the container sees of them, with its hosts file and termination message."""
        volumes = {volume.name: volume for volume in pod.spec.volumes}
        made = []
        for place, mount in enumerate(container.volume_mounts):
            if mount.name not in volumes:
                raise BadRequest(f"volumeMount {mount.name!r} names no volume of the pod")
            volume = volumes[mount.name]
            path = self._path(pod, volume)
            below = expand_known(mount.sub_path_expr, env) or mount.sub_path
            if volume.image is not None and not mounts.is_mount_point(path):
                made.append(_image_mount(mount, volume.image.reference, below))
                continue
            if below:
                target = self._subpaths(pod, volume.name) / container.name / str(place)
                path = _bound(path, below, target)
            made.append(_mount(mount, path, is_read_only=self._is_read_only(pod, volume)))
        taken = {mount.container_path for mount in made}
        if ips and "/etc/hosts" not in taken:
            made.append(Mount("/etc/hosts", str(self._hosts(pod, ips))))
        if container.termination_message_path:
            path = self.directory(pod.uid) / "containers" / container.name / str(attempt)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
            path.chmod(0o666)
            made.append(Mount(container.termination_message_path, str(path)))
        return made

    def _subpaths(self, pod: Pod, volume: str) -> Path:
        return self.directory(pod.uid) / "volume-subpaths" / volume

    def _hosts(self, pod: Pod, ips: Sequence[str]) -> Path:
        path = self.directory(pod.uid) / "etc-hosts"
        if pod.spec.host_network:
            own = HOSTS.read_text() if HOSTS.exists() else ""
            path.write_text(host_network_hosts_file(pod, own))
        else:
            path.write_text(hosts_file(pod, ips, self._domain))
        return path

    def remove(self, uid: str) -> None:
        """Take all of them away; a file system still mounted is detached, never emptied."""
        self._sources.forget(uid)
        if self._claims is not None:
            self._claims.forget(uid)
        directory = self.directory(uid)
        mounts.unmount_below(directory)
        shutil.rmtree(directory, ignore_errors=True)


def _mount(mount: VolumeMount, path: Path, *, is_read_only: bool) -> Mount:
    return Mount(
        mount.mount_path,
        str(path),
        mount.read_only or is_read_only,
        mount.mount_propagation,
        mount.recursive_read_only,
    )


def _image_mount(mount: VolumeMount, image: str, below: str) -> Mount:
    """Mounted by the runtime."""
    return Mount(
        mount.mount_path, "", read_only=True, propagation=mount.mount_propagation,
        image=image, image_sub_path=below,
    )  # fmt: skip


def _bound(volume: Path, below: str, target: Path) -> Path:
    """``target``, showing what is at ``below`` in the volume now, whatever its names become."""
    opened = beneath.open_made(volume, below)
    try:
        mounts.unmount(target)
        mounts.bind(opened, target)
    finally:
        os.close(opened)
    return target
