"""Pods that their node's taints drive away."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pilothouse.services.controllers.adapters import indexes
from pilothouse.services.controllers.adapters.disruption import disrupt
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.world import (
    Controller,
    World,
    controller,
    reference,
)
from pilothouse.services.controllers.node.taints import Tainted, TaintEvictionController
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds.nodes import Node, Taint
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import NODES, PODS
from pilothouse.services.runtime.control.queue import WorkQueue
from pilothouse.services.runtime.exposition import Family


class Taints:
    """What the taint eviction controller asks for."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._recorder = world.recorder("taint-eviction-controller")
        self._nodes = world.cache(NODES, Node)
        self._pods = world.cache(PODS, Pod)
        self._since: dict[tuple[str, Taint], float] = {}
        self._waiting: set[Key] = set()
        self._evicted = 0
        indexes.add_node(self._pods)

    def pod(self, key: Key) -> Pod | None:
        return self._pods.get(key)

    def tainted(self, pod: Pod) -> Sequence[Tainted]:
        node = self._nodes.get(Key("", pod.spec.node_name))
        taints = no_execute(node)
        return [Tainted(taint, self._since_when(pod.spec.node_name, taint)) for taint in taints]

    def now(self) -> float:
        return self._clock.now()

    async def evict(self, pod: Pod) -> None:
        self._waiting.discard(pod.metadata.key)
        about = reference(PODS, pod.metadata)
        text = f"Marking for deletion Pod {pod.metadata.key}"
        self._recorder.note(about, "Normal", "TaintManagerEviction", text)
        message = "Taint manager: deleting due to NoExecute taint"
        await disrupt(self._objects, pod, self._clock.now(), "DeletionByTaintManager", message)
        if await remove(self._objects, PODS, pod.metadata):
            self._evicted += 1

    def families(self) -> Iterable[Family]:
        """What upstream counts of this controller."""
        name = "taint_eviction_controller_pod_deletions_total"
        return (Family(name, "counter", "Pods driven away by taints.").add(self._evicted),)

    def note(self, key: Key, *, waits: bool) -> None:
        if waits:
            self._waiting.add(key)
            return
        pod = self._pods.get(key)
        if key in self._waiting and pod is not None and not pod.metadata.deleting:
            about = reference(PODS, pod.metadata)
            text = f"Cancelling deletion of Pod {key}"
            self._recorder.note(about, "Normal", "TaintManagerEviction", text)
        self._waiting.discard(key)

    def forget(self, name: str, kept: Sequence[Taint]) -> None:
        """The node ``name`` has only these NoExecute taints now."""
        for known in [known for known in self._since if known[0] == name]:
            if known[1] not in kept:
                del self._since[known]

    def _since_when(self, name: str, taint: Taint) -> float:
        if taint.time_added:
            return timestamps.parse(taint.time_added)
        return self._since.setdefault((name, taint), self._clock.now())


def no_execute(node: Node | None) -> tuple[Taint, ...]:
    """The taints of the node that drive pods away."""
    taints = node.spec.taints if node is not None else ()
    return tuple(taint for taint in taints if taint.effect == "NoExecute")


def taints(world: World) -> Controller:
    """The taint eviction controller, wired: pods of untainted nodes never cost a look."""
    cluster = Taints(world)
    all_nodes, found = world.cache(NODES, Node), world.cache(PODS, Pod)
    queue: WorkQueue[Key] = WorkQueue()

    def node_changed(old: Node | None, new: Node | None) -> None:
        item = new if new is not None else old
        if item is None or no_execute(old) == no_execute(new):
            return
        cluster.forget(item.metadata.name, no_execute(new))
        for pod in found.by_index(indexes.NODE, item.metadata.name):
            queue.add(pod.metadata.key)

    def pod_changed(old: Pod | None, new: Pod | None) -> None:
        if new is None and old is not None:
            cluster.note(old.metadata.key, waits=False)
        if new is None or not new.spec.node_name:
            return
        if no_execute(all_nodes.get(Key("", new.spec.node_name))):
            queue.add(new.metadata.key)

    all_nodes.on_change(node_changed)
    found.on_change(pod_changed)
    made = controller(TaintEvictionController(cluster), queue, found)
    return replace(made, measured=cluster.families)
