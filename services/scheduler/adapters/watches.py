"""Watches pods, nodes and namespaces, and tells the scheduler what of it matters."""

import asyncio
from collections.abc import Callable
from typing import Any

from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.volumes import Claim, PersistentVolume, StorageClass
from pilothouse.services.machinery.objects import Key, Object
from pilothouse.services.machinery.resources import (
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    STORAGE_CLASSES,
)
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.scheduler import candidate
from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.scheduler import Scheduler
from pilothouse.services.scheduler.views import Pod
from pilothouse.services.scheduler.volumetable import VolumeTable


class Watches:
    """Calls ``wake`` after each change; decisions may begin after :meth:`wait_synced`."""

    def __init__(
        self,
        objects: Objects,
        scheduler: Scheduler,
        wake: Callable[[], None],
        clock: Clock,
        scheduler_name: str,
    ) -> None:
        self._scheduler = scheduler
        self._wake = wake
        self._clock = clock
        self._scheduler_name = scheduler_name
        self._log = telemetry.logger(part="watches")
        self._pods = Cache(objects, PODS, Pod, clock=clock)
        self._nodes = Cache(objects, NODES, Node, clock=clock)
        self._namespaces = Cache(objects, NAMESPACES, Object, clock=clock)
        self._stored = (
            Cache(objects, STORAGE_CLASSES, StorageClass, clock=clock),
            Cache(objects, PERSISTENT_VOLUMES, PersistentVolume, clock=clock),
            Cache(objects, PERSISTENT_VOLUME_CLAIMS, Claim, clock=clock),
        )
        classes, volumes, claims = self._stored
        classes.on_change(self._class)
        volumes.on_change(self._volume)
        claims.on_change(self._claim)
        self._pods.on_change(self._pod)
        self._nodes.on_change(self._node)
        self._namespaces.on_change(self._namespace)

    def _caches(self) -> tuple[Cache[Any], ...]:
        return (self._nodes, self._namespaces, *self._stored, self._pods)

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            for cache in self._caches():
                group.create_task(cache.run())

    async def renew(self) -> None:
        """What was seen while another led may be old: read the present state anew."""
        for cache in self._caches():
            cache.renew()
        await self.wait_synced()

    async def wait_synced(self) -> None:
        """Until the present state of all has been seen."""
        for cache in self._caches():
            await cache.wait_synced()

    def candidate(self, key: Key) -> Candidate | None:
        """The Pods port."""
        pod = self._pods.get(key)
        return None if pod is None else candidate.from_pod(pod)

    def _pod(self, old: Pod | None, new: Pod | None) -> None:
        if new is None:
            if old is not None:
                self._scheduler.drop_pod(old.metadata.key, self._clock.monotonic())
        elif old is None or _matters(old, new):
            try:
                self._tell(new)
            except (KeyError, ValueError) as error:
                key = str(new.metadata.key)
                self._log.warning("pod passed over", pod=key, error=repr(error))
                return
        else:
            return
        self._wake()

    def _tell(self, pod: Pod) -> None:
        metadata, now = pod.metadata, self._clock.monotonic()
        if pods.is_terminal(pod):
            self._scheduler.drop_pod(metadata.key, now)
        elif pod.spec.node_name:
            if not self._scheduler.confirm(metadata, pod.spec.node_name):
                self._scheduler.put_placed(candidate.from_pod(pod), now)
        elif (
            pod.spec.scheduler_name != self._scheduler_name
            or metadata.deleting
            or pod.spec.scheduling_gates
        ):
            self._scheduler.drop_pod(metadata.key, now)
        else:
            self._scheduler.put_waiting(candidate.from_pod(pod))

    def _node(self, old: Node | None, new: Node | None) -> None:
        now = self._clock.monotonic()
        if new is not None:
            self._scheduler.put_node(new, now)
        elif old is not None:
            self._scheduler.drop_node(old.metadata.name, now)
        self._wake()

    def _namespace(self, old: Object | None, new: Object | None) -> None:
        named = new or old
        if named is not None:
            labels = new.metadata.labels if new is not None else None
            now = self._clock.monotonic()
            self._scheduler.put_namespace(named.metadata.name, labels, now)
            self._wake()

    def _class(self, old: StorageClass | None, new: StorageClass | None) -> None:
        named = new or old
        if named is None:
            return
        name = named.metadata.name

        def change(volumes: VolumeTable) -> None:
            if new is None:
                volumes.classes.pop(name, None)
            else:
                volumes.classes[name] = new

        self._scheduler.stored.change(change, self._clock.monotonic())
        self._wake()

    def _volume(self, old: PersistentVolume | None, new: PersistentVolume | None) -> None:
        named = new or old
        if named is None:
            return
        name = named.metadata.name

        def change(volumes: VolumeTable) -> None:
            if new is None:
                volumes.drop_volume(name)
            else:
                volumes.put_volume(new)

        self._scheduler.stored.change(change, self._clock.monotonic())
        self._wake()

    def _claim(self, old: Claim | None, new: Claim | None) -> None:
        now = self._clock.monotonic()
        if new is not None:
            self._scheduler.stored.put_claim(new, now)
        elif old is not None:
            key = old.metadata.key
            self._scheduler.stored.change(lambda volumes: volumes.forget_claim(key), now)
        self._wake()


def _matters(old: Pod, new: Pod) -> bool:
    """Whether the pod differs in what placing it, or counting it, depends on."""
    before, after = old.metadata, new.metadata
    return (
        before.uid != after.uid
        or before.labels != after.labels
        or before.deleting != after.deleting
        or pods.is_terminal(old) != pods.is_terminal(new)
        or old.spec != new.spec
    )
