"""Service traffic through the real kernel."""

from collections import Counter
from dataclasses import replace

import pytest

from pilothouse.services.machinery.objects import Key
from pilothouse.services.proxy.adapters.iproute import Conntrack
from pilothouse.services.proxy.changes import Change, Table
from pilothouse.services.proxy.contents import Contents, contents
from pilothouse.services.proxy.ports import Refused
from pilothouse.services.proxy.rules import Backend, PortRule

BACKENDS = ("10.244.1.2", "10.244.1.3")
NODE, CLIENT = "10.90.9.1", "10.90.9.2"
CLUSTER_CIDR = "10.244.0.0/16"
VIP, PORT, NODE_PORT = "10.96.0.50", 80, 30080
BOTH = tuple(Backend(address, 8080) for address in BACKENDS)
RULE = PortRule(
    "default", "web", "", "tcp", VIP, PORT, node_port=NODE_PORT, endpoints=BOTH, local=BOTH
)
KEY = Key("default", "web")


def one(rule: PortRule) -> Contents:
    return contents([rule], CLUSTER_CIDR)


def shares(answers: list[str]) -> Counter[str]:
    assert not [line for line in answers if line.startswith("!")]
    return Counter(line.split()[0] for line in answers)


async def test_new_connections_reach_both_backends_by_every_way(testbed):
    for number in (0, 1):
        testbed.serve(number, 8080)
    await testbed.kernel().load(one(RULE))
    ways = [
        ("client", VIP, PORT),
        ("client", NODE, NODE_PORT),
        ("node", VIP, PORT),
        ("node", NODE, NODE_PORT),
        ("backend-0", VIP, PORT),
        ("backend-0", NODE, NODE_PORT),
    ]
    for way in ways:
        counts = shares(testbed.connect(*way, 200))
        assert counts.total() == 200, way
        assert min(counts["backend-0"], counts["backend-1"]) >= 70, (way, counts)


async def test_the_backend_sees_pods_as_they_are_and_others_as_the_node(testbed):
    testbed.serve(1, 8080)
    second = replace(RULE, endpoints=BOTH[1:])
    await testbed.kernel().load(one(second))
    assert set(testbed.connect("backend-0", VIP, PORT, 5)) == {f"backend-1 {BACKENDS[0]}"}
    assert set(testbed.connect("client", NODE, NODE_PORT, 5)) == {"backend-1 10.244.1.1"}
    # A pod that reaches itself through its Service must not see itself as the peer.
    assert set(testbed.connect("backend-1", VIP, PORT, 5)) == {"backend-1 10.244.1.1"}


async def test_no_endpoints_is_refused_at_once(testbed):
    await testbed.kernel().load(one(replace(RULE, endpoints=(), local=())))
    for way in [("client", VIP, PORT), ("node", VIP, PORT), ("node", NODE, NODE_PORT),
                ("client", NODE, NODE_PORT), ("backend-0", VIP, PORT)]:  # fmt: skip
        assert testbed.connect(*way, 2) == ["! ConnectionRefusedError"] * 2, way


async def test_endpoints_come_and_go_under_load(testbed):
    for number in (0, 1):
        testbed.serve(number, 8080)
    kernel, table = testbed.kernel(), Table()
    await kernel.load(_with(table, RULE))
    load = testbed.start_load("client", VIP, PORT, 1500)
    for _ in range(40):
        for endpoints in (BOTH[:1], BOTH, BOTH[1:], BOTH):
            await kernel.change(
                table.replace({KEY: one(replace(RULE, endpoints=endpoints, local=endpoints))})
            )
    output, _ = load.communicate(timeout=60)
    counts = shares(output.splitlines())
    assert counts.total() == 1500
    assert min(counts.values()) > 0


async def test_a_change_is_what_the_kernel_then_holds(testbed):
    kernel, table = testbed.kernel(), Table()
    await kernel.load(_with(table, RULE))
    rules = [
        replace(RULE, endpoints=BOTH[:1]),
        replace(RULE, affinity_seconds=60),
        replace(RULE, affinity_seconds=60, endpoints=BOTH[1:]),
        replace(RULE, external_local=True, local=BOTH[:1]),
        replace(RULE, external_local=True, local=()),
        replace(RULE, internal_local=True, local=()),
        replace(RULE, external_ips=("192.0.2.7",)),
        replace(RULE, node_port=0),
        replace(RULE, endpoints=()),
        replace(RULE, namespace="n" * 63, service="s" * 63, affinity_seconds=86400),
        replace(RULE, protocol="sctp"),
        RULE,
    ]
    for rule in rules:
        await kernel.change(table.replace({KEY: one(rule)}))
        changed = _sorted(testbed.nft("list", "ruleset"))
        await kernel.load(one(rule))
        assert _sorted(testbed.nft("list", "ruleset")) == changed, rule
        await kernel.clean_up()
        await kernel.load(one(rule))
        assert _sorted(testbed.nft("list", "ruleset")) == changed, rule
    await kernel.change(table.replace({KEY: contents([], CLUSTER_CIDR)}))
    assert "default/web" not in testbed.nft("list", "ruleset")
    assert VIP not in testbed.nft("list", "ruleset")


async def test_a_client_with_affinity_stays_and_outlives_a_reload(testbed):
    for number in (0, 1):
        testbed.serve(number, 8080)
    kernel = testbed.kernel()
    sticky = one(replace(RULE, affinity_seconds=600))
    await kernel.load(sticky)
    first = shares(testbed.connect("client", VIP, PORT, 20))
    assert len(first) == 1
    for _ in range(5):
        await kernel.load(sticky)
        assert shares(testbed.connect("client", VIP, PORT, 5)).keys() == first.keys()


async def test_the_local_policy_keeps_the_clients_address(testbed):
    for number in (0, 1):
        testbed.serve(number, 8080)
    await testbed.kernel().load(one(replace(RULE, external_local=True, local=BOTH[:1])))
    assert set(testbed.connect("client", NODE, NODE_PORT, 10)) == {f"backend-0 {CLIENT}"}
    assert len(shares(testbed.connect("node", NODE, NODE_PORT, 50))) == 2


async def test_udp_flows_leave_a_vanished_endpoint(testbed):
    for number in (0, 1):
        testbed.serve(number, 8080, udp=True)
    udp = replace(RULE, protocol="udp", endpoints=BOTH[:1])
    kernel, table = testbed.kernel(), Table()
    await kernel.load(_with(table, udp))
    ask = testbed.flow("client", VIP, PORT)
    assert [ask(), ask()] == ["backend-0"] * 2
    await kernel.change(table.replace({KEY: one(replace(udp, endpoints=BOTH[1:]))}))
    # Without forgetting, the kernel goes on with the flow's first translation.
    assert ask() == "backend-0"
    await Conntrack(testbed.inside("node")).forget(BOTH[:1])
    assert [ask(), ask()] == ["backend-1"] * 2


async def test_rules_work_while_nobody_is_there_and_a_reload_drops_nothing(testbed):
    for number in (0, 1):
        testbed.serve(number, 8080)
    await testbed.kernel().load(one(RULE))
    load = testbed.start_load("client", NODE, NODE_PORT, 1500)
    for _ in range(20):  # each as a new process would: a context of its own, everything anew
        await testbed.kernel().load(one(RULE))
    output, _ = load.communicate(timeout=60)
    assert shares(output.splitlines()).total() == 1500


async def test_clean_up_leaves_no_table(testbed):
    kernel = testbed.kernel()
    await kernel.clean_up()
    await kernel.load(one(RULE))
    await kernel.clean_up()
    assert testbed.nft("list", "tables") == ""


async def test_node_ports_only_where_they_are_wanted(testbed):
    testbed.serve(0, 8080)
    testbed.serve(1, 8080)
    await testbed.kernel(nodeport_addresses=("10.90.9.0/24",)).load(one(RULE))
    assert shares(testbed.connect("client", NODE, NODE_PORT, 3)).total() == 3
    assert set(testbed.connect("client", "10.244.1.1", NODE_PORT, 2)) == {
        "! ConnectionRefusedError"
    }


async def test_a_table_that_others_changed_is_refused_and_loaded_anew(testbed):
    kernel, table = testbed.kernel(), Table()
    await kernel.load(_with(table, RULE))
    before = _sorted(testbed.nft("list", "ruleset"))
    stranger = Contents(chains={"nowhere/at/all": ("drop",)})
    with pytest.raises(Refused):
        await kernel.change(Change(old=stranger))
    assert _sorted(testbed.nft("list", "ruleset")) == before
    testbed.nft("flush", "map", "ip", "pilothouse", "services")
    testbed.nft("add", "chain", "ip", "pilothouse", "default/left/tcp/80")
    await kernel.load(one(RULE))
    assert _sorted(testbed.nft("list", "ruleset")) == before


async def test_a_table_of_another_frame_is_replaced(testbed):
    await testbed.kernel(nodeport_addresses=("10.90.9.0/24",)).load(one(RULE))
    fresh = testbed.kernel()
    await fresh.load(one(RULE))
    after = _sorted(testbed.nft("list", "ruleset"))
    await fresh.clean_up()
    await fresh.load(one(RULE))
    assert _sorted(testbed.nft("list", "ruleset")) == after


async def test_five_thousand_services(testbed):
    testbed.serve(0, 8080)
    kernel, table = testbed.kernel(), Table()
    many = {
        Key("default", f"web-{i}"): one(
            replace(RULE, service=f"web-{i}", cluster_ip=f"10.97.{i // 250}.{i % 250}",
                    node_port=0, endpoints=BOTH[:1])
        )
        for i in range(5000)
    }  # fmt: skip
    table.replace(many)
    await kernel.load(table.contents())
    assert shares(testbed.connect("client", "10.97.19.249", PORT, 20)).total() == 20
    last = Key("default", "web-4999")
    await kernel.change(table.replace({last: contents([], CLUSTER_CIDR)}))
    assert shares(testbed.connect("client", "10.97.19.248", PORT, 1)).total() == 1
    assert "10.97.19.249" not in testbed.nft("list", "map", "ip", "pilothouse", "services")


def _with(table: Table, rule: PortRule) -> Contents:
    table.replace({KEY: one(rule)})
    return table.contents()


def _sorted(ruleset: str) -> list[str]:
    """Lines without the order of elements, which is the kernel's own."""
    flat = ruleset.replace(",", "\n").replace("{", "\n").replace("}", "\n")
    return sorted(line.split("expires")[0].strip() for line in flat.splitlines())
