"""A pod's directories on the node: volumes, hosts file, termination messages."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from pilothouse.services.kubelet.adapters import atomic_files, mounts
from pilothouse.services.kubelet.pod.configs import Mount, hostname_of, hosts_file
from pilothouse.services.kubelet.pod.downward import Surroundings
from pilothouse.services.kubelet.pod.environment import expand
from pilothouse.services.kubelet.pod.views import Container, Pod
from pilothouse.services.kubelet.ports import Cluster
from pilothouse.services.kubelet.volumes import payload
from pilothouse.services.kubelet.volumes.sources import (
    EmptyDirSource,
    HostPathSource,
    Projection,
    TokenSource,
    Volume,
    projections,
)
from pilothouse.services.machinery import quantity
from pilothouse.services.machinery.errors import BadRequest, NotFound
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.clock import Clock

REFRESH_SECONDS = 60.0
TOKEN_LIFE_USED = 0.8

_PLUGIN = {
    "empty_dir": "kubernetes.io~empty-dir",
    "config_map": "kubernetes.io~configmap",
    "secret": "kubernetes.io~secret",
    "downward_api": "kubernetes.io~downward-api",
    "projected": "kubernetes.io~projected",
}


class NodeVolumes:
    """Below ``root``/pods/UID, laid out as Kubernetes does."""

    def __init__(self, root: Path, cluster: Cluster, clock: Clock, place: Surroundings) -> None:
        self._pods = root / "pods"
        self._cluster = cluster
        self._clock = clock
        self._place = place
        self._tokens: dict[tuple[str, TokenSource], tuple[str, float]] = {}

    def directory(self, uid: str) -> Path:
        """All that the kubelet keeps of this pod."""
        return self._pods / uid

    def pods(self) -> list[str]:
        """Uids of pods that have a directory."""
        return [entry.name for entry in self._pods.iterdir()] if self._pods.is_dir() else []

    async def prepare(self, pod: Pod, ips: Sequence[str]) -> float | None:
        """Make them as they should be; when to look again, if ever."""
        again: list[float] = []
        self.directory(pod.uid).mkdir(parents=True, exist_ok=True, mode=0o750)
        for volume in pod.spec.volumes:
            parts, mode = projections(volume)
            if parts or volume.projected is not None:
                again.append(await self._project(pod, volume, parts, mode, ips))
            elif volume.empty_dir is not None:
                self._empty(pod, volume, volume.empty_dir)
            elif volume.host_path is not None:
                _host_path(volume.host_path)
            else:
                raise BadRequest(f"volume {volume.name!r}: its kind is not supported")
        return min(again, default=None)

    async def _project(
        self,
        pod: Pod,
        volume: Volume,
        parts: tuple[Projection, ...],
        mode: int,
        ips: Sequence[str],
    ) -> float:
        found, again = await self._fetch(pod, parts)
        around = Surroundings(self._place.host_ip, tuple(ips), self._place.allocatable)
        files = payload.build(pod, parts, mode, found, around)
        group = pod.spec.security_context.fs_group
        atomic_files.write(self._path(pod, volume), files, group)
        return again

    async def _fetch(self, pod: Pod, parts: tuple[Projection, ...]) -> tuple[payload.Found, float]:
        config_maps, secrets, tokens = {}, {}, {}
        again = self._clock.now() + REFRESH_SECONDS
        for part in parts:
            try:
                if part.config_map is not None:
                    key = Key(pod.metadata.namespace, part.config_map.name)
                    config_maps[key.name] = await self._cluster.config_map(key)
                elif part.secret is not None:
                    name = part.secret.secret_name or part.secret.name
                    secrets[name] = await self._cluster.secret(Key(pod.metadata.namespace, name))
            except NotFound:
                continue
            if part.service_account_token is not None:
                source = part.service_account_token
                tokens[source], renew = await self._token(pod, source)
                again = min(again, renew)
        return payload.Found(config_maps, secrets, tokens), again

    async def _token(self, pod: Pod, source: TokenSource) -> tuple[str, float]:
        """A token and when it should be renewed."""
        now = self._clock.now()
        kept = self._tokens.get((pod.uid, source))
        if kept is None or now >= kept[1]:
            token, ends = await self._cluster.token(pod, source)
            kept = (token, now + (ends - now) * TOKEN_LIFE_USED)
            self._tokens[pod.uid, source] = kept
        return kept

    def _empty(self, pod: Pod, volume: Volume, source: EmptyDirSource) -> None:
        path = self._path(pod, volume)
        if path.is_dir():
            return
        path.mkdir(parents=True)
        if source.medium == "Memory":
            size = 0 if source.size_limit is None else quantity.ceiling(source.size_limit)
            mounts.mount_tmpfs(path, size)
        path.chmod(0o777)
        group = pod.spec.security_context.fs_group
        if group is not None:
            os.chown(path, -1, group)
            path.chmod(0o2777)

    def _path(self, pod: Pod, volume: Volume) -> Path:
        if volume.host_path is not None:
            return Path(volume.host_path.path)
        plugin = next(name for field, name in _PLUGIN.items() if getattr(volume, field) is not None)
        return self.directory(pod.uid) / "volumes" / plugin / volume.name

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
        for mount in container.volume_mounts:
            if mount.name not in volumes:
                raise BadRequest(f"volumeMount {mount.name!r} names no volume of the pod")
            path = self._path(pod, volumes[mount.name])
            below = expand(mount.sub_path_expr, env) or mount.sub_path
            if below:
                path = _inside(path, below)
            made.append(
                Mount(mount.mount_path, str(path), mount.read_only, mount.mount_propagation)
            )
        taken = {mount.container_path for mount in made}
        if not pod.spec.host_network and "/etc/hosts" not in taken:
            made.append(Mount("/etc/hosts", str(self._hosts(pod, ips))))
        if container.termination_message_path:
            path = self.directory(pod.uid) / "containers" / container.name / str(attempt)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
            path.chmod(0o666)
            made.append(Mount(container.termination_message_path, str(path)))
        return made

    def _hosts(self, pod: Pod, ips: Sequence[str]) -> Path:
        path = self.directory(pod.uid) / "etc-hosts"
        path.write_text(hosts_file(pod, hostname_of(pod), ips, "cluster.local"))
        return path

    def remove(self, uid: str) -> None:
        """Take all of them away; a file system still mounted is detached, never emptied."""
        directory = self.directory(uid)
        mounts.unmount_below(directory)
        shutil.rmtree(directory, ignore_errors=True)
        for key in [key for key in self._tokens if key[0] == uid]:
            del self._tokens[key]


def _host_path(source: HostPathSource) -> None:
    path = Path(source.path)
    match source.type:
        case "DirectoryOrCreate":
            path.mkdir(parents=True, exist_ok=True)
        case "FileOrCreate":
            path.touch(exist_ok=True)
        case "Directory" if not path.is_dir():
            raise NotFound(f"hostPath type check failed: {path} is not a directory")
        case "File" if not path.is_file():
            raise NotFound(f"hostPath type check failed: {path} is not a file")
        case "Socket" if not path.is_socket():
            raise NotFound(f"hostPath type check failed: {path} is not a socket file")


def _inside(volume: Path, below: str) -> Path:
    """The path in the volume, made if absent; BadRequest if a link or ``..`` leads out of it."""
    real = volume.resolve()
    path = (real / below).resolve()
    if not path.is_relative_to(real):
        raise BadRequest(f"subPath {below!r} leads out of its volume")
    if not path.exists():
        path.mkdir(parents=True)
    return path
