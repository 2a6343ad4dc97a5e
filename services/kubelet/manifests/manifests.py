"""Follow where static pods come from, and keep a mirror of each in the API server."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from pilothouse.services.kubelet.manifests import static_pods
from pilothouse.services.kubelet.manifests.static_pods import Origin, StaticPod
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import AlreadyExists, ApiError, Invalid
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

RETRY_SECONDS = 2.0


class Source(Protocol):
    """Manifests of one origin."""

    name: str
    """As the pods' annotation tells it."""

    async def read(self) -> Mapping[str, Sequence[Any]] | None:
        """Decoded documents by place; a place that can not be decoded has one that is None.

        None when nothing could be learned: what was wanted before still is.
        """

    async def wait_changed(self) -> None: ...


class Mirrors(Protocol):
    """Mirror pods in the API server."""

    async def create_mirror(self, static: StaticPod) -> None: ...
    async def delete_mirror(self, mirror: Pod) -> None: ...


class Manifests:
    """Static pods of one node; they run whether the API server answers or not."""

    def __init__(
        self, sources: Sequence[Source], mirrors: Mirrors, pods: Pods, clock: Clock, node: str
    ) -> None:
        """Of two sources that want the same pod, the earlier has its way."""
        self._sources = sources
        self._mirrors = mirrors
        self._pods = pods
        self._clock = clock
        self._node = node
        self._by_source: dict[str, dict[Key, StaticPod]] = {}
        self._wanted: dict[Key, StaticPod] = {}
        self._seen: dict[str, str] = {}
        self._shown: dict[Key, Pod] = {}
        self._changed = asyncio.Event()
        self._log = telemetry.logger(part="manifests")
        pods.on_end(self._ended)

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
        """Let the worker see what its mirror says; a new one begins when the old one has ended."""
        static, mirror = self._wanted.get(key), self._shown.get(key)
        if static is None:
            return
        for worker in self._pods.workers():
            before = worker.pod
            is_older = before.metadata.key == key and before.uid != static.pod.uid
            if is_older and static_pods.is_static(before):
                return
        status = static_pods.recalled({} if mirror is None else mirror.status)
        self._pods.keep(msgspec.structs.replace(static.pod, status=status))

    def _ended(self, pod: Pod) -> None:
        """Nothing is left of this pod: another of its name may begin."""
        if pod.metadata.key in self._wanted:
            self._show(pod.metadata.key)

    def take(self, source: str, documents: Mapping[str, Sequence[Any]]) -> None:
        """All that one source wants: run what is new, end what is gone."""
        found: dict[Key, StaticPod] = {}
        for place, manifests in sorted(documents.items()):
            for manifest in (item for document in manifests for item in static_pods.each(document)):
                try:
                    static = self._parse(manifest, Origin(self._node, source, place))
                except Invalid as error:
                    text = "could not process manifest file"
                    self._log.error(text, place=place, error=error.message)
                    continue
                found.setdefault(static.pod.metadata.key, static)
        self._by_source[source] = found
        wanted: dict[Key, StaticPod] = {}
        for each in reversed(self._sources):
            wanted |= self._by_source.get(each.name, {})
        before, self._wanted = self._wanted, wanted
        for key, static in before.items():
            if key not in wanted or wanted[key].hash != static.hash:
                self._pods.vanish(static.pod)
        present = {static.hash for static in wanted.values()}
        self._seen = {uid: seen for uid, seen in self._seen.items() if uid in present}
        for key in wanted:
            self._show(key)
        self._changed.set()

    def _parse(self, manifest: Any, origin: Origin) -> StaticPod:
        """With the time at which this very content was first seen."""
        uid = static_pods.parse(manifest, origin).hash
        now = timestamps.render_micro(self._clock.now())
        return static_pods.parse(manifest, origin, self._seen.setdefault(uid, now))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._mirror())
            for source in self._sources:
                group.create_task(self._follow(source))

    async def _follow(self, source: Source) -> None:
        while True:
            documents = await source.read()
            if documents is not None:
                self.take(source.name, documents)
            await source.wait_changed()

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
