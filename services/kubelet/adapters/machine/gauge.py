"""What eviction looks at: the node without its pods, and those pods whose storage is limited."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pilothouse.services.kubelet.adapters.cri.usage import CriUsage, Space
from pilothouse.services.kubelet.adapters.machine.usage import machine, trees
from pilothouse.services.kubelet.adapters.machine.usage.cgroups import CgroupFiles
from pilothouse.services.kubelet.adapters.machine.usage.disks import layer
from pilothouse.services.kubelet.eviction.storage import STORAGE
from pilothouse.services.kubelet.pod.observed import Observed
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.stats.values import (
    ContainerUsage,
    Filesystem,
    NodeUsage,
    Part,
    PodUsage,
    VolumeUsage,
    together,
)
from pilothouse.services.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Places:
    """Where pods' cgroups, the kubelet's directory and logs are."""

    cgroup_root: str
    root: Path
    logs: Path


class NodeGauge:
    """``observed``: what is known of the pod of this uid."""

    def __init__(
        self,
        places: Places,
        runtime: CriUsage,
        observed: Callable[[str], Observed],
        clock: Clock,
    ) -> None:
        self._places = places
        self._runtime = runtime
        self._observed = observed
        self._clock = clock
        self._cgroups = CgroupFiles(clock)
        self._mountpoints: tuple[str, str] | None = None

    async def node(self) -> NodeUsage:
        """The machine, all pods together, and the disks."""
        if self._mountpoints is None:
            images, layers = await self._runtime.places()
            self._mountpoints = _mountpoint(images), _mountpoint(layers)
        images_at, layers_at = self._mountpoints
        now, whole = self._clock.now(), machine.whole()
        pods = Part("pods", 0.0, self._cgroups.read(self._places.cgroup_root))
        return NodeUsage(
            part=Part("", 0.0, self._cgroups.read("/")),
            memory_bytes=whole.memory_bytes,
            systems=(pods,),
            filesystem=trees.filesystem(self._places.root, now),
            images=trees.filesystem(Path(images_at), now) if images_at else None,
            layers=trees.filesystem(Path(layers_at), now) if layers_at else None,
            processes=whole.processes,
            processes_max=whole.processes_max,
        )

    async def bounded(self, pods: Sequence[Pod]) -> list[PodUsage]:
        """What these keep on disks."""
        layers: dict[str, Space] = {}
        if any(_limits_storage(pod) for pod in pods):
            layers = await self._runtime.layers()
        return [await asyncio.to_thread(self._pod, pod, layers) for pod in pods]

    def _pod(self, pod: Pod, layers: dict[str, Space]) -> PodUsage:
        metadata, now = pod.metadata, self._clock.now()
        volumes = []
        for volume in pod.spec.volumes:
            place = self._places.root / "pods" / pod.uid / "volumes" / "kubernetes.io~empty-dir"
            found = trees.tree(place / volume.name, now) if volume.empty_dir is not None else None
            if found is not None and volume.empty_dir is not None:
                is_local = volume.empty_dir.medium == ""
                volumes.append(VolumeUsage(volume.name, found, is_local))
        directory = self._places.logs / f"{metadata.namespace}_{metadata.name}_{metadata.uid}"
        containers = tuple(
            ContainerUsage(
                Part(item.name, item.started_at),
                item.id,
                rootfs=_layer(layers.get(item.id), now),
                logs=trees.tree(directory / item.name, now),
            )
            for item in self._observed(pod.uid).containers
            if item.state == "running"
        )
        parts = [volume.filesystem for volume in volumes if volume.local]
        parts += [
            place for item in containers for place in (item.rootfs, item.logs) if place is not None
        ]
        whole = together(now, tuple(parts))
        return PodUsage(
            namespace=metadata.namespace,
            name=metadata.name,
            uid=pod.uid,
            part=Part("", 0.0),
            containers=containers,
            volumes=tuple(volumes),
            ephemeral=replace(whole, at=now),
        )


def _limits_storage(pod: Pod) -> bool:
    return any(STORAGE in item.resources.limits for item in pod.spec.containers)


def _layer(space: Space | None, now: float) -> Filesystem | None:
    return None if space is None else layer(None, space.used_bytes, space.inodes_used, now)


def _mountpoint(space: Space | None) -> str:
    return "" if space is None else space.mountpoint
