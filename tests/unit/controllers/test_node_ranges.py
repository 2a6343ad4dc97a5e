"""Ranges of nodes: given side by side, none twice, and none again before the first is heard of."""

import asyncio
from ipaddress import ip_network

import pytest

from pilothouse.services.controllers import config
from pilothouse.services.controllers.adapters.node.noderanges import Parts
from pilothouse.services.controllers.node.ipam import NodeIPAMController
from pilothouse.services.controllers.node.pools import Pool, Range
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
        self.notes = []

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
        self.written.append((key.name, *patch["spec"]["podCIDRs"]))
        assert patch["spec"]["podCIDR"] == patch["spec"]["podCIDRs"][0]

    def note(self, about, type_, reason, message):
        self.notes.append((about.name, type_, reason))

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


def ipam(world, *ranges, reserved=()):
    listed = [Range(ip_network(network), mask) for network, mask in ranges or [("10.0.0.0/16", 24)]]
    return NodeIPAMController(Parts(world, listed, [ip_network(item) for item in reserved]))


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
    controller = ipam(world, ("10.0.0.0/24", 24))
    world.refused = {"a"}
    with pytest.raises(Conflict):
        await controller.reconcile(Key("", "a"))
    assert world.notes == [("a", "Normal", "CIDRAssignmentFailed")]
    await controller.reconcile(Key("", "b"))
    assert world.written == [("b", "10.0.0.0/24")]
    world.hear("b", "10.0.0.0/24")
    assert (await controller.reconcile(Key("", "c"))).again_after
    assert world.notes[1:] == [("c", "Normal", "CIDRNotAvailable")]
    world.hear("b", "")
    await controller.reconcile(Key("", "c"))
    assert world.written[-1] == ("c", "10.0.0.0/24")


async def test_a_range_set_free_is_not_given_again_while_others_have_not_been():
    world = World(["a", "b"])
    controller = ipam(world, ("10.0.0.0/22", 24))
    await controller.reconcile(Key("", "a"))
    world.hear("a", "10.0.0.0/24")
    world.hear("a", "")
    await controller.reconcile(Key("", "b"))
    assert world.written[-1] == ("b", "10.0.1.0/24")


async def test_a_node_gets_a_range_of_each_family():
    world = World(["a", "b"])
    controller = ipam(world, ("10.0.0.0/16", 24), ("fd00:10::/56", 64))
    await controller.reconcile(Key("", "a"))
    await controller.reconcile(Key("", "b"))
    assert world.written == [
        ("a", "10.0.0.0/24", "fd00:10::/64"),
        ("b", "10.0.1.0/24", "fd00:10:0:1::/64"),
    ]


async def test_what_nodes_have_and_what_services_have_is_not_given():
    world = World(["old", "odd", "new"])
    controller = ipam(world, ("10.0.0.0/21", 24), reserved=["10.0.3.0/25", "192.168.0.0/16"])
    world.hear("old", "10.0.0.0/23")
    world.hear("odd", "172.16.0.0/24")
    await controller.reconcile(Key("", "new"))
    assert world.written == [("new", "10.0.2.0/24")]
    world.hear("new", "10.0.2.0/24")
    world.nodes[Key("", "next")] = Node(metadata=Metadata(name="next"))
    await controller.reconcile(Key("", "next"))
    assert world.written[-1] == ("next", "10.0.4.0/24")


async def test_a_range_that_covers_all_leaves_nothing():
    world = World(["a"])
    controller = ipam(world, ("10.0.0.0/22", 24), reserved=["10.0.0.0/8"])
    await controller.reconcile(Key("", "a"))
    assert not world.written


def test_a_part_is_free_once_as_many_let_it_go_as_had_it():
    pool = Pool(Range(ip_network("10.0.0.0/24"), 24))
    network = ip_network("10.0.0.0/24")
    pool.occupy(network)
    pool.occupy(network)
    pool.release(network)
    assert pool.next_free() is None
    pool.release(network)
    assert pool.next_free() == network


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (["--cluster-cidr=10.1.0.0/16"], [("10.1.0.0/16", 24)]),
        (["--cluster-cidr=10.1.0.0/16", "--node-cidr-mask-size=26"], [("10.1.0.0/16", 26)]),
        (["--cluster-cidr=fd00::/56"], [("fd00::/56", 64)]),
        (
            ["--cluster-cidr=10.1.0.0/16,fd00::/48", "--node-cidr-mask-size-ipv4=25"],
            [("10.1.0.0/16", 25), ("fd00::/48", 64)],
        ),
        (["--cluster-cidr=10.1.0.0/16,10.2.0.0/16"], None),
        (["--cluster-cidr=10.1.0.0/16,fd00::/48", "--node-cidr-mask-size=25"], None),
        (["--cluster-cidr=10.1.0.0/26"], None),
        (["--cluster-cidr=fd00::/32"], None),
    ],
)
def test_ranges_are_told_as_upstream_tells_them(flags, wanted):
    told = ["--server=unix:///x", *flags]
    if wanted is None:
        with pytest.raises(SystemExit):
            config.parse(told)
        return
    ranges = config.parse(told).settings.cluster_cidr
    assert [(str(item.network), item.mask) for item in ranges] == wanted
