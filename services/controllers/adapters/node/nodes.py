"""Nodes, their signs of life, and the pods on them."""

from dataclasses import replace
from typing import Any

import msgspec

from pilothouse.services.controllers.adapters import indexes
from pilothouse.services.controllers.adapters.node.nodezones import Zones
from pilothouse.services.controllers.adapters.world import (
    Controller,
    World,
    controller,
    reference,
)
from pilothouse.services.controllers.node.lifecycle import NodeLifecycleController, Plan, Silence
from pilothouse.services.controllers.node.zones import Patience
from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.nodes import LEASE_NAMESPACE, Lease, Node, Taint
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key, Metadata, Object
from pilothouse.services.machinery.resources import LEASES, NODES, PODS
from pilothouse.services.runtime.control import batches
from pilothouse.services.runtime.control.queue import WorkQueue

_OBJECT = msgspec.json.Decoder(Object)
_NEW_SECONDS_MAX = 600.0
"""People are told of nodes that come, not of all there are each time that another leads."""
_KUBELETS = frozenset({"NodeStatusUnknown", "NodeStatusNeverUpdated"})


class Lives:
    """What the node lifecycle controller asks for."""

    def __init__(self, world: World, patience: Patience) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._recorder = world.recorder("node-controller")
        self._patience = patience
        self._nodes = world.cache(NODES, Node)
        self._pods = world.cache(PODS, Pod)
        self._heard: dict[str, float] = {}
        self._greeted: dict[Key, Metadata] = {}
        self.zones = Zones(patience.rates)
        indexes.add_node(self._pods)

    def node(self, key: Key) -> Node | None:
        return self._nodes.get(key)

    def greet(self, key: Key, node: Node | None) -> None:
        known = self._greeted.get(key)
        if known is not None and (node is None or node.metadata.uid != known.uid):
            self._tell(known, "RemovingNode", f"Removing Node {key.name} from Controller")
            del self._greeted[key]
        if node is not None and key not in self._greeted:
            self._greeted[key] = node.metadata
            if self._age(node) < _NEW_SECONDS_MAX:
                text = f"Registered Node {key.name} in Controller"
                self._tell(node.metadata, "RegisteredNode", text)

    def _tell(self, about: Metadata, reason: str, text: str) -> None:
        message = f"Node {about.name} event: {text}"
        self._recorder.note(reference(NODES, about), "Normal", reason, message)

    def _age(self, node: Node) -> float:
        born = node.metadata.creation_timestamp
        return self._clock.now() - timestamps.parse(born) if born else 0.0

    def see(self, node: Node) -> None:
        """A node that was not there; one that its kubelet never spoke of is silent since then."""
        if conditions.find(node.status.conditions, "Ready") is not None:
            self.hear(node.metadata.name)
        else:
            since = self._clock.monotonic() - max(self._age(node), 0.0)
            self._heard.setdefault(node.metadata.name, since)

    def silence(self, node: Node) -> Silence:
        now = self._clock.monotonic()
        begun = conditions.find(node.status.conditions, "Ready") is not None
        grace = self._patience.grace if begun else self._patience.startup_grace
        silent = now - self._heard.setdefault(node.metadata.name, now)
        return Silence(silent, grace, self._clock.now())

    def wait_seconds(self, node: Node) -> float | None:
        return self.zones.wait_seconds(node, self._clock.monotonic())

    def is_disrupted(self) -> bool:
        return self.zones.all_disrupted

    def hear(self, name: str) -> bool:
        """A sign of life; whether the node was taken for lost before."""
        now = self._clock.monotonic()
        silent = now - self._heard.get(name, now)
        self._heard[name] = now
        return silent >= self._patience.grace

    def count(self, old: Node | None, new: Node | None) -> list[str]:
        """A node changed; the names of those for which it matters beside itself."""
        disrupted = self.zones.all_disrupted
        if not self.zones.count(old, new):
            return []
        if disrupted and not self.zones.all_disrupted:
            # It was not they who were silent: each has its time anew.
            self._heard = dict.fromkeys(self._heard, self._clock.monotonic())
        return self.zones.not_ready()

    def forget(self, name: str) -> None:
        self._heard.pop(name, None)

    async def write(self, node: Node, todo: Plan) -> None:
        metadata = node.metadata
        version = metadata.resource_version
        if todo.taints != node.spec.taints or todo.labels:
            said: dict[str, Any] = {
                "metadata": {
                    "uid": metadata.uid,
                    "resourceVersion": version,
                    "labels": todo.labels,
                },
                "spec": {"taints": [_taint(item) for item in todo.taints] or None},
            }
            answer = await self._objects.patch(NODES, metadata.key, said)
            version = _OBJECT.decode(answer).metadata.resource_version
        if todo.conditions == node.status.conditions:
            return
        said = {
            "metadata": {"uid": metadata.uid, "resourceVersion": version},
            "status": {"conditions": [conditions.rendered(item) for item in todo.conditions]},
        }
        await self._objects.patch(NODES, metadata.key, said, subresource="status")
        if conditions.is_true(node.status.conditions, "Ready"):
            message = f"Node {metadata.name} status is now: NodeNotReady"
            self._recorder.note(reference(NODES, metadata), "Normal", "NodeNotReady", message)

    async def mark_pods_unready(self, node: Node) -> None:
        found = self._pods.by_index(indexes.NODE, node.metadata.name)
        failure = await batches.each([pod for pod in found if pods.is_ready(pod)], self._mark)
        if failure is not None:
            raise failure

    async def _mark(self, pod: Pod) -> None:
        ready = conditions.find(pod.status.conditions, "Ready")
        stamp = timestamps.render(self._clock.now())
        if ready is None:
            return
        said = msgspec.structs.replace(ready, status="False", last_transition_time=stamp)
        seen = {"observedGeneration": pod.metadata.generation} if pod.metadata.generation else {}
        patch = {
            "metadata": {"uid": pod.metadata.uid},
            "status": {"conditions": [conditions.rendered(said) | seen]},
        }
        try:
            await self._objects.patch(
                PODS, pod.metadata.key, patch, subresource="status", strategic=True
            )
        except NotFound:
            return
        about = reference(PODS, pod.metadata)
        self._recorder.note(about, "Warning", "NodeNotReady", "Node is not ready")


def _taint(taint: Taint) -> dict[str, Any]:
    rendered: dict[str, Any] = msgspec.to_builtins(taint)
    return {name: value for name, value in rendered.items() if value}


def _heartbeat(node: Node) -> tuple[str | None, str] | None:
    """What its kubelet last said of it; None for our own words."""
    ready = conditions.find(node.status.conditions, "Ready")
    if ready is None or ready.reason in _KUBELETS:
        return None
    return (ready.last_heartbeat_time, ready.status)


def lifecycle(world: World, patience: Patience) -> Controller:
    """The node lifecycle controller, wired: a renewed Lease costs no look, unless it was lost."""
    cluster = Lives(world, patience)
    found = world.cache(NODES, Node)
    queue: WorkQueue[Key] = WorkQueue()

    def node_changed(old: Node | None, new: Node | None) -> None:
        for name in cluster.count(old, new):
            queue.add(Key("", name))
        if new is None:
            if old is not None:
                cluster.forget(old.metadata.name)
                queue.add(old.metadata.key)
            return
        said = _heartbeat(new)
        if old is None:
            cluster.see(new)
        elif said is not None and said != _heartbeat(old):
            cluster.hear(new.metadata.name)
        queue.add(new.metadata.key)

    def lease_changed(old: Lease | None, new: Lease | None) -> None:
        if new is None or new.metadata.namespace != LEASE_NAMESPACE:
            return
        renewed = old is None or old.spec.renew_time != new.spec.renew_time
        if renewed and cluster.hear(new.metadata.name):
            queue.add(Key("", new.metadata.name))

    found.on_change(node_changed)
    world.cache(LEASES, Lease).on_change(lease_changed)
    made = controller(NodeLifecycleController(cluster), queue, found)
    return replace(made, measured=cluster.zones.families)
