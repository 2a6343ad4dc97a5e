"""The loop between the cluster and the kernel, with both as values."""

import asyncio
from collections.abc import Iterable, Sequence

import msgspec
import pytest

from pilothouse.protos.mesh.v1 import rules_pb2 as pb
from pilothouse.services.machinery.kinds.services import EndpointSlice, Service
from pilothouse.services.machinery.objects import Key
from pilothouse.services.proxy import config
from pilothouse.services.proxy.adapters import statements, sysctls
from pilothouse.services.proxy.changes import EMPTY, Change, apply, diff
from pilothouse.services.proxy.contents import Contents, contents
from pilothouse.services.proxy.ports import Refused
from pilothouse.services.proxy.proxier import Proxier
from pilothouse.services.proxy.rpc.rules import Rules
from pilothouse.services.proxy.rules import Backend

CIDR = "10.244.0.0/16"
WEB, DNS = Key("default", "web"), Key("kube-system", "dns")


class FakeServices:
    """Services as values: ``put`` one with its endpoints, or take it away with None."""

    def __init__(self) -> None:
        self.services: dict[Key, Service] = {}
        self.endpoints: dict[Key, list[EndpointSlice]] = {}
        self.changed: asyncio.Queue[set[Key]] = asyncio.Queue()

    def put(self, key: Key, addresses: Sequence[str] | None, protocol: str = "TCP") -> None:
        self.changed.put_nowait({key})
        if addresses is None:
            del self.services[key]
            return
        number = 1 + [WEB, DNS].index(key)
        port = {"port": 53, "protocol": protocol}
        spec = {"clusterIP": f"10.96.0.{number}", "ports": [port]}
        metadata = {"namespace": key.namespace, "name": key.name}
        self.services[key] = msgspec.convert({"metadata": metadata, "spec": spec}, Service)
        ends = [{"addresses": [address]} for address in addresses]
        body = {"ports": [{"port": 53, "protocol": protocol}], "endpoints": ends}
        self.endpoints[key] = [msgspec.convert(body, EndpointSlice)]

    def keys(self) -> list[Key]:
        return list(self.services)

    def service(self, key: Key) -> Service | None:
        return self.services.get(key)

    def slices(self, key: Key) -> list[EndpointSlice]:
        return self.endpoints.get(key, [])

    async def wait_changed(self) -> set[Key]:
        return await self.changed.get()


class FakeKernel:
    """A table and the flows; refuses the next ``refusals`` changes."""

    def __init__(self) -> None:
        self.table = EMPTY
        self.loads = 0
        self.changes: list[Change] = []
        self.forgotten: list[Backend] = []
        self.refusals = 0
        self.touched = asyncio.Semaphore(0)

    async def load(self, loaded: Contents) -> None:
        self.loads += 1
        self.table = loaded
        self.touched.release()

    async def change(self, change: Change) -> None:
        self.changes.append(change)
        if self.refusals:
            self.refusals -= 1
            raise Refused("no such chain")
        self.table = apply(self.table, change)
        self.touched.release()

    async def forget(self, backends: Iterable[Backend]) -> None:
        self.forgotten += backends


class InstantClock:
    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel()


@pytest.fixture
def proxier(services: FakeServices, kernel: FakeKernel) -> Proxier:
    return Proxier(services, kernel, kernel, node="a", cluster_cidr=CIDR)


def expected(proxier: Proxier) -> Contents:
    return contents(proxier.rules(), CIDR)


async def test_what_is_there_is_loaded_and_what_changes_is_changed(services, kernel, proxier):
    services.put(WEB, ["10.244.1.2"])
    await proxier.load()
    assert kernel.table == expected(proxier)
    services.put(WEB, ["10.244.1.2", "10.244.1.3"])
    services.put(DNS, [])
    await proxier.change([WEB, DNS])
    assert kernel.table == expected(proxier)
    assert [rule.service for rule in proxier.rules()] == ["web", "dns"]
    services.put(WEB, None)
    await proxier.change([WEB])
    assert [rule.service for rule in proxier.rules()] == ["dns"]
    assert kernel.table == expected(proxier)


async def test_a_change_that_means_nothing_here_does_not_reach_the_kernel(
    services, kernel, proxier
):
    services.put(WEB, ["10.244.1.2"])
    await proxier.load()
    services.put(WEB, ["10.244.1.2"])
    await proxier.change([WEB])
    assert kernel.changes == []


async def test_udp_flows_of_vanished_endpoints_are_forgotten(services, kernel, proxier):
    services.put(DNS, ["10.244.1.2", "10.244.1.3"], "UDP")
    services.put(WEB, ["10.244.1.4"])
    await proxier.load()
    services.put(DNS, ["10.244.1.3"], "UDP")
    services.put(WEB, [])
    await proxier.change([DNS, WEB])
    assert kernel.forgotten == [Backend("10.244.1.2", 53)]


async def test_after_a_refusal_everything_is_loaded_anew(services, kernel, proxier):
    kernel.refusals = 1
    async with asyncio.TaskGroup() as group:
        task = group.create_task(proxier.run(InstantClock()))
        await kernel.touched.acquire()
        services.put(WEB, ["10.244.1.2"])
        await kernel.touched.acquire()
        assert kernel.loads == 2
        assert kernel.table == expected(proxier)
        assert kernel.table != EMPTY
        services.put(DNS, ["10.244.1.3"])
        await kernel.touched.acquire()
        assert kernel.loads == 2
        assert kernel.table == expected(proxier)
        task.cancel()


async def test_a_service_that_went_while_the_kernel_refused_is_not_loaded(
    services, kernel, proxier
):
    services.put(WEB, ["10.244.1.2"])
    await proxier.load()
    services.put(WEB, None)
    await proxier.load()
    assert kernel.table == EMPTY


async def test_the_rules_service_lists_what_the_kernel_was_told(services, kernel, proxier):
    services.put(WEB, ["10.244.1.2"])
    services.put(DNS, ["10.244.1.3"], "UDP")
    await proxier.load()
    every = await Rules(proxier).List(pb.ListRulesRequest(), None)
    assert [rule.service for rule in every.rules] == ["web", "dns"]
    some = await Rules(proxier).List(pb.ListRulesRequest(namespace="kube-system"), None)
    (rule,) = some.rules
    assert (rule.protocol, rule.cluster_ip, list(rule.endpoints)) == (
        "UDP",
        "10.96.0.2",
        ["10.244.1.3:53"],
    )


def test_commands_use_nothing_before_it_is_there():
    old = Contents(chains={"a": ("drop",), "b": ("goto a",)}, client_sets=frozenset({"clients-x"}))
    new = Contents(chains={"b": ("drop",), "c": ("goto b",)})
    change = diff(old, new)
    assert statements.prepared(change).splitlines() == [
        "add chain ip pilothouse c",
        "add rule ip pilothouse c goto b",
    ]
    assert statements.switched(change).splitlines() == [
        "flush chain ip pilothouse b",
        "add rule ip pilothouse b drop",
    ]
    assert statements.removed(change).splitlines() == [
        "flush chain ip pilothouse a",
        "delete chain ip pilothouse a",
        "delete set ip pilothouse clients-x",
    ]


def test_flags_as_kube_proxy_names_them(tmp_path):
    flags = ["--hostname-override", "a", "--server", "unix:///x", "--run-dir", str(tmp_path)]
    parsed = config.parse([*flags, "--nodeport-addresses", "10.0.0.0/8,192.0.2.0/24"])
    assert parsed.node_name == "a"
    assert parsed.socket == tmp_path / "proxy-a.sock"
    assert parsed.nodeport_addresses == ("10.0.0.0/8", "192.0.2.0/24")
    assert config.parse(["--cleanup"]).cleanup


@pytest.mark.parametrize(
    "argv", [[], ["--node-name", "a"], ["--node-name", "a", "--server", "10.90.0.1:6444"]]
)
def test_flags_that_lack_something_are_refused(argv):
    with pytest.raises(SystemExit):
        config.parse(argv)


def test_switches_are_set_and_what_can_not_be_is_left(tmp_path):
    switch = tmp_path / "ipv4" / "ip_forward"
    switch.parent.mkdir()
    switch.write_text("0\n")
    sysctls.set_wanted(tmp_path)
    assert switch.read_text() == "1"
