"""Pods that no kubelet will ever delete: of nodes that are gone or out of service, and of none."""

import contextlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from pilothouse.services.controllers.adapters import indexes
from pilothouse.services.controllers.adapters.disruption import disrupt
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.node.podgc import PodGCController
from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds import nodes, pods
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import NODES, PODS
from pilothouse.services.runtime.control.queue import WorkQueue
from pilothouse.services.runtime.exposition import Family

_EVICTED = "Evicted"


class Orphans:
    """What the pod GC controller asks for."""

    def __init__(self, world: World, ended_max: int) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._nodes = world.cache(NODES, Node)
        self._pods = world.cache(PODS, Pod)
        self._missing: dict[str, float] = {}
        self._ended_max = ended_max
        self._ended: dict[Key, tuple[bool, str]] = {}
        self._surplus: set[Key] = set()
        self._deleted: Counter[tuple[str, str]] = Counter()
        indexes.add_node(self._pods)

    def pod(self, key: Key) -> Pod | None:
        return self._pods.get(key)

    def missing_seconds(self, pod: Pod) -> float | None:
        name = pod.spec.node_name
        if self._nodes.get(Key("", name)) is not None:
            self._missing.pop(name, None)
            return None
        now = self._clock.monotonic()
        return now - self._missing.setdefault(name, now)

    def is_out_of_service(self, pod: Pod) -> bool:
        node = self._nodes.get(Key("", pod.spec.node_name))
        return node is not None and is_out_of_service(node)

    def is_surplus(self, pod: Pod) -> bool:
        return pod.metadata.key in self._surplus

    def count(self, old: Pod | None, new: Pod | None) -> list[Key]:
        """A pod changed; the oldest of those that ended, as far as they are too many."""
        item = new if new is not None else old
        if item is None or self._ended_max <= 0:
            return []
        key = item.metadata.key
        if new is None or not pods.is_terminal(new) or new.metadata.deleting:
            self._ended.pop(key, None)
            self._surplus.discard(key)
            return []
        evicted = new.status.reason == _EVICTED
        self._ended[key] = (not evicted, new.metadata.creation_timestamp or "")
        excess = len(self._ended) - self._ended_max - len(self._surplus)
        if excess <= 0:
            return []
        left = (known for known in self._ended if known not in self._surplus)
        oldest = sorted(left, key=lambda known: (self._ended[known], known))[:excess]
        self._surplus.update(oldest)
        return oldest

    async def is_node_gone(self, pod: Pod) -> bool:
        try:
            await self._objects.get(NODES, Key("", pod.spec.node_name))
        except NotFound:
            return True
        return False

    async def fail(self, pod: Pod, why: str) -> None:
        if why:
            now = self._clock.now()
            await disrupt(self._objects, pod, now, "DeletionByPodGC", why, phase="Failed")
            return
        patch = {"metadata": {"uid": pod.metadata.uid}, "status": {"phase": "Failed"}}
        with contextlib.suppress(NotFound):
            await self._objects.patch(PODS, pod.metadata.key, patch, subresource="status")

    async def delete(self, pod: Pod) -> None:
        self._deleted[pod.metadata.namespace, self._why(pod)] += 1
        await remove(self._objects, PODS, pod.metadata, grace_period_seconds=0)

    def families(self) -> Iterable[Family]:
        """What upstream counts of this controller."""
        name = "pod_gc_collector_force_delete_pods_total"
        family = Family(name, "counter", "Pods that nobody else would have deleted.")
        for (namespace, reason), count in sorted(self._deleted.items()):
            family.add(count, ("namespace", namespace), ("reason", reason))
        return (family,)

    def _why(self, pod: Pod) -> str:
        if self.is_surplus(pod):
            return "terminated"
        if not pod.spec.node_name:
            return "unscheduled"
        return "out-of-service" if self.is_out_of_service(pod) else "orphaned"


def is_out_of_service(node: Node) -> bool:
    """Whether somebody says so by a taint, and nobody hears of it."""
    ready = conditions.is_true(node.status.conditions, "Ready")
    return not ready and any(taint.key == nodes.OUT_OF_SERVICE for taint in node.spec.taints)


def podgc(world: World, ended_max: int) -> Controller:
    """The pod GC controller, wired: it looks at pods whose node is missing, or that have none."""
    cluster = Orphans(world, ended_max)
    all_nodes, found = world.cache(NODES, Node), world.cache(PODS, Pod)
    queue: WorkQueue[Key] = WorkQueue()

    def node_changed(old: Node | None, new: Node | None) -> None:
        item = new if new is not None else old
        if item is None:
            return
        lost = new is not None and is_out_of_service(new)
        if old is None or new is None or lost:
            for pod in found.by_index(indexes.NODE, item.metadata.name):
                queue.add(pod.metadata.key)

    def pod_changed(old: Pod | None, new: Pod | None) -> None:
        for key in cluster.count(old, new):
            queue.add(key)
        if new is None:
            return
        node = all_nodes.get(Key("", new.spec.node_name)) if new.spec.node_name else None
        is_free = not new.spec.node_name
        lost = node is not None and is_out_of_service(node)
        if (new.metadata.deleting and (is_free or lost)) or not (is_free or node):
            queue.add(new.metadata.key)

    all_nodes.on_change(node_changed)
    found.on_change(pod_changed)
    made = controller(PodGCController(cluster), queue, found)
    return replace(made, measured=cluster.families)
