"""Nodes and the parts of the cluster's pod addresses that they have."""

from collections.abc import Sequence
from ipaddress import ip_network

from pilothouse.services.controllers.adapters import wiring
from pilothouse.services.controllers.adapters.world import (
    Controller,
    World,
    controller,
    reference,
)
from pilothouse.services.controllers.node.ipam import NodeIPAMController
from pilothouse.services.controllers.node.pools import Network, Pool, Range
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import NODES
from pilothouse.services.runtime.control.queue import WorkQueue


class Parts:
    """What the node IPAM controller asks for."""

    def __init__(
        self, world: World, ranges: Sequence[Range], reserved: Sequence[Network] = ()
    ) -> None:
        self._objects = world.objects
        self._recorder = world.recorder("cidrAllocator")
        self._nodes = world.cache(NODES, Node)
        self._pools = tuple(Pool(item, reserved) for item in ranges)
        self._given: dict[str, tuple[Network, ...]] = {}
        self._nodes.on_change(self._changed)

    def node(self, key: Key) -> Node | None:
        return self._nodes.get(key)

    def pools(self) -> Sequence[Pool]:
        return self._pools

    def is_given(self, node: Node) -> bool:
        return node.metadata.name in self._given

    async def give(self, node: Node, parts: Sequence[Network]) -> None:
        name = node.metadata.name
        cidrs = [str(part) for part in parts]
        patch = {
            "metadata": {"uid": node.metadata.uid},
            "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs},
        }
        # Taken before anybody is asked: others choose theirs meanwhile.
        for pool, part in zip(self._pools, parts, strict=True):
            pool.take(part)
        self._given[name] = tuple(parts)
        try:
            await self._objects.patch(NODES, node.metadata.key, patch)
        except ApiError:
            current = self._nodes.get(node.metadata.key)
            if current is None or not current.spec.pod_cidr:
                self._release(name)
            if current is not None:
                self._note(node, "CIDRAssignmentFailed")
            raise

    def say_full(self, node: Node) -> None:
        self._note(node, "CIDRNotAvailable")

    def _note(self, node: Node, reason: str) -> None:
        about = reference(NODES, node.metadata)
        message = f"Node {node.metadata.name} status is now: {reason}"
        self._recorder.note(about, "Normal", reason, message)

    def _changed(self, old: Node | None, new: Node | None) -> None:
        if new is None:
            if old is not None:
                self._release(old.metadata.name)
            return
        cidrs = new.spec.pod_cidrs or ((new.spec.pod_cidr,) if new.spec.pod_cidr else ())
        told = tuple(ip_network(cidr, strict=False) for cidr in cidrs)
        if told and told != self._given.get(new.metadata.name):
            self._release(new.metadata.name)
            self._given[new.metadata.name] = told
            for network in told:
                for pool in self._pools:
                    pool.occupy(network)

    def _release(self, name: str) -> None:
        for network in self._given.pop(name, ()):
            for pool in self._pools:
                pool.release(network)


def ipam(world: World, ranges: Sequence[Range], reserved: Sequence[Network] = ()) -> Controller:
    """The node IPAM controller, wired; a part counts as taken before it is written."""
    found = world.cache(NODES, Node)
    queue: WorkQueue[Key] = WorkQueue()
    cluster = Parts(world, ranges, reserved)
    found.on_change(wiring.itself(queue))
    return controller(NodeIPAMController(cluster), queue, found)
