"""Follow the directory of static pods, and keep a mirror of each in the API server."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from pilothouse.services.kubelet.manifests import static_pods
from pilothouse.services.kubelet.manifests.static_pods import StaticPod
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.machinery.errors import AlreadyExists, ApiError, Invalid
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

RETRY_SECONDS = 2.0


class Directory(Protocol):
    """The manifests on this node."""

    def read(self) -> Mapping[str, Any]:
        """Decoded content by file name; a file that can not be decoded is None."""

    async def wait_changed(self) -> None: ...


class Mirrors(Protocol):
    """Mirror pods in the API server."""

    async def create_mirror(self, static: StaticPod) -> None: ...
    async def delete_mirror(self, mirror: Pod) -> None: ...


class Manifests:
    """Static pods of one node; they run whether the API server answers or not."""

    def __init__(
        self, directory: Directory, mirrors: Mirrors, pods: Pods, clock: Clock, node: str
    ) -> None:
        self._directory = directory
        self._mirrors = mirrors
        self._pods = pods
        self._clock = clock
        self._node = node
        self._wanted: dict[Key, StaticPod] = {}
        self._shown: dict[Key, Pod] = {}
        self._changed = asyncio.Event()
        self._log = telemetry.logger(part="manifests")

    def change(self, old: Pod | None, new: Pod | None) -> None:
        """Every change of a pod of this node; mirrors are kept, the others passed on."""
        pod = new or old
        if pod is None or not static_pods.is_mirror(pod):
            self._pods.change(old, new)
            return
        key = pod.metadata.key
        if new is None:
            self._shown.pop(key, None)
        else:
            self._shown[key] = new
            self._show(key)
        self._changed.set()

    def bodies(self) -> dict[str, dict[str, Any]]:
        """Static pods as they run, by their uid."""
        return {static.pod.uid: static.own for static in self._wanted.values()}

    def mirror_uid(self, pod: Pod) -> str:
        """The uid of this pod's object in the API server; empty when it has none."""
        if static_pods.HASH not in pod.metadata.annotations:
            return pod.uid
        mirror = self._shown.get(pod.metadata.key)
        return "" if mirror is None or mirror.metadata.deleting else mirror.uid

    def _show(self, key: Key) -> None:
        """Let the worker see what its mirror says."""
        static, mirror = self._wanted.get(key), self._shown.get(key)
        if static is not None:
            status = {} if mirror is None else mirror.status
            self._pods.keep(msgspec.structs.replace(static.pod, status=status))

    def load(self) -> None:
        """Read the directory: run what is new, end what is gone."""
        wanted: dict[Key, StaticPod] = {}
        for name, manifest in sorted(self._directory.read().items()):
            try:
                static = static_pods.parse(manifest, self._node)
            except Invalid as error:
                self._log.warning("manifest refused", file=name, error=error.message)
                continue
            wanted[static.pod.metadata.key] = static
        before, self._wanted = self._wanted, wanted
        for key, static in before.items():
            if key not in wanted or wanted[key].hash != static.hash:
                self._pods.vanish(static.pod)
        for key in wanted:
            self._show(key)
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._mirror())
            while True:
                self.load()
                await self._directory.wait_changed()

    async def _mirror(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            for key in {*self._wanted, *self._shown}:
                try:
                    await self._settle(key)
                except ApiError as error:
                    self._log.info("mirror not written", pod=str(key), error=error.message)
                    await self._clock.sleep(RETRY_SECONDS)
                    self._changed.set()

    async def _settle(self, key: Key) -> None:
        static = self._wanted.get(key)
        plan = static_pods.plan(static, self._shown.get(key))
        if plan.delete is not None:
            await self._mirrors.delete_mirror(plan.delete)
        elif plan.create and static is not None:
            try:
                await self._mirrors.create_mirror(static)
            except AlreadyExists:
                return
