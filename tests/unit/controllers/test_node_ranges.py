"""Ranges of nodes: given side by side, none twice, and none again before the first is heard of."""

import asyncio
from ipaddress import ip_network

import pytest

from pilothouse.services.controllers.adapters.nodes import Parts
from pilothouse.services.controllers.node.ipam import NodeIPAMController
from pilothouse.services.machinery.errors import Conflict
from pilothouse.services.machinery.kinds.nodes import Node, Spec
from pilothouse.services.machinery.objects import Key, Metadata


class World:
    """Nodes as a cache has them, late; what is written is kept."""

    def __init__(self, names):
        self.objects = self
        self.nodes = {Key("", name): Node(metadata=Metadata(name=name)) for name in names}
        self.written = []
        self.refused = set()
        self.handlers = []

    def cache(self, resource, view):
        return self

    def recorder(self, name):
        return self

    def get(self, key):
        return self.nodes.get(key)

    def on_change(self, handler):
        self.handlers.append(handler)

    async def patch(self, resource, key, patch):
        await asyncio.sleep(0.001)
        if key.name in self.refused:
            raise Conflict("no")
        self.written.append((key.name, patch["spec"]["podCIDR"]))

    def hear(self, name, cidr):
        """The cache catches up; without a range: the node is gone."""
        key = Key("", name)
        old = self.nodes.get(key)
        new = Node(metadata=Metadata(name=name), spec=Spec(pod_cidr=cidr)) if cidr else None
        if new is None:
            del self.nodes[key]
        else:
            self.nodes[key] = new
        for handler in self.handlers:
            handler(old, new)


def ipam(world):
    return NodeIPAMController(Parts(world, ip_network("10.0.0.0/16"), 24))


async def reconcile(controller, names):
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(controller.reconcile(Key("", name)))


async def test_many_at_once_get_one_each():
    names = [f"n{i}" for i in range(50)]
    world = World(names)
    await reconcile(ipam(world), names * 2)
    assert sorted(name for name, _ in world.written) == sorted(names)
    assert len({cidr for _, cidr in world.written}) == 50


async def test_a_range_is_free_again_when_it_was_not_written_or_its_node_is_gone():
    world = World(["a", "b", "c"])
    controller = ipam(world)
    world.refused = {"a"}
    with pytest.raises(Conflict):
        await controller.reconcile(Key("", "a"))
    await controller.reconcile(Key("", "b"))
    assert world.written == [("b", "10.0.0.0/24")]
    world.hear("b", "10.0.0.0/24")
    world.hear("b", "")
    await controller.reconcile(Key("", "c"))
    assert world.written[-1] == ("c", "10.0.0.0/24")
