"""Routes to other nodes, as values, and the loop that writes them."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.machinery.kinds.nodes import Address, Node, Spec, Status
from pilothouse.services.machinery.objects import Metadata
from pilothouse.services.proxy import node_routes
from pilothouse.services.proxy.ports import Refused
from pilothouse.services.proxy.routes import Plan, Route, plan, wanted

A = Route("10.244.1.0/24", "10.90.0.11")
B = Route("10.244.2.0/24", "10.90.0.12")


def node(name: str, cidr: str, address: str) -> Node:
    return Node(
        metadata=Metadata(name=name),
        spec=Spec(pod_cidr=cidr),
        status=Status(addresses=(Address(type="InternalIP", address=address),)),
    )


NODES = [node("a", A.destination, A.gateway), node("b", B.destination, B.gateway)]


def test_every_other_node_gets_a_route():
    assert wanted(NODES, "a") == {B}
    assert wanted(NODES, "c") == {A, B}


@pytest.mark.parametrize(
    ("cidr", "address"),
    [("", "10.90.0.13"), ("10.244.3.0/24", ""), ("fd00::/64", "10.90.0.13"), ("; x", "1.1.1.1")],
)
def test_a_node_without_cidr_or_address_gets_none(cidr, address):
    assert wanted([node("d", cidr, address)], "a") == frozenset()


def test_a_destination_that_moves_is_written_and_not_removed():
    moved = Route(A.destination, "10.90.0.99")
    assert plan(frozenset({moved}), [A, B]) == Plan(write=(moved,), remove=(B,))


routes = st.builds(
    Route,
    st.sampled_from([f"10.244.{i}.0/24" for i in range(4)]),
    st.sampled_from([f"10.90.0.{i}" for i in range(4)]),
)
tables = st.lists(routes, unique_by=lambda route: route.destination)


@given(tables, tables)
def test_a_plan_gives_what_was_wanted(before, want):
    found = plan(frozenset(want), before)
    after = {route.destination: route for route in before}
    for route in found.remove:
        del after[route.destination]
    after |= {route.destination: route for route in found.write}
    assert set(after.values()) == set(want)
    assert not plan(frozenset(want), list(after.values()))


class FakeNodes:
    def __init__(self) -> None:
        self.found = list(NODES)
        self.changes = asyncio.Semaphore(0)

    def nodes(self) -> list[Node]:
        return self.found

    async def wait_changed(self) -> None:
        await self.changes.acquire()


class FakeRoutes:
    def __init__(self, *, refusals: int = 0) -> None:
        self.table = [Route("10.244.9.0/24", "10.90.0.19")]
        self.refusals = refusals
        self.looks = 0
        self.written = asyncio.Semaphore(0)

    async def installed(self) -> list[Route]:
        self.looks += 1
        return self.table

    async def apply(self, found: Plan) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Refused("link is down")
        self.table = [r for r in self.table if r not in found.remove] + list(found.write)
        self.written.release()


class InstantClock:
    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


async def test_the_loop_removes_stale_routes_retries_and_looks_only_when_it_must():
    nodes, kernel = FakeNodes(), FakeRoutes(refusals=2)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(node_routes.follow(nodes, kernel, node="a", clock=InstantClock()))
        await kernel.written.acquire()
        assert kernel.table == [B]
        looks = kernel.looks
        nodes.changes.release()  # a report of a kubelet: nothing new for us
        await asyncio.sleep(0.01)
        assert kernel.looks == looks
        nodes.found = NODES[:1]
        nodes.changes.release()
        await kernel.written.acquire()
        assert kernel.table == []
        task.cancel()
