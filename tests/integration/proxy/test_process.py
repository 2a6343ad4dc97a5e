"""The proxy as a process that dies, and the routes it leaves on the node."""

import signal
import subprocess

from pilothouse.services.proxy.adapters.iproute import IpRoutes
from pilothouse.services.proxy.routes import Plan, Route, plan

NODE, VIP, PORT, NODE_PORT = "10.90.9.1", "10.96.0.50", 80, 30080

# The real loop and adapters over a cluster of plain values; prints a line when the table is loaded.
PROXY = """
import asyncio, msgspec, sys
from pilothouse.services.machinery.kinds.services import EndpointSlice, Service
from pilothouse.services.machinery.objects import Key
from pilothouse.services.proxy.adapters.iproute import Conntrack
from pilothouse.services.proxy.adapters.nftables import Library, Nftables
from pilothouse.services.proxy.proxier import Proxier
from pilothouse.services.runtime.clock import SystemClock

class Plain:
    def keys(self):
        return [Key("default", "web")]
    def service(self, key):
        port = {"port": 80, "nodePort": 30080}
        spec = {"type": "NodePort", "clusterIP": "10.96.0.50", "ports": [port]}
        return msgspec.convert({"metadata": {"namespace": "default", "name": "web"}, "spec": spec}, Service)
    def slices(self, key):
        ends = [{"addresses": [address]} for address in ("10.244.1.2", "10.244.1.3")]
        return [msgspec.convert({"ports": [{"port": 8080}], "endpoints": ends}, EndpointSlice)]
    async def wait_changed(self):
        print("loaded", flush=True)
        await asyncio.Event().wait()

kernel = Nftables(Library(), cluster_cidr="10.244.0.0/16")
proxier = Proxier(Plain(), kernel, Conntrack(), node="a", cluster_cidr="10.244.0.0/16")
asyncio.run(proxier.run(SystemClock()))
"""  # noqa: E501 - a program


def test_traffic_goes_on_without_the_process_and_while_it_comes_back(testbed):
    for number in (0, 1):
        testbed.serve(number, 8080)
    first = testbed.start("node", PROXY)
    _wait_loaded(first)
    load = testbed.start_load("client", NODE, NODE_PORT, 2000)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert all("!" not in line for line in testbed.connect("client", VIP, PORT, 200))
    _wait_loaded(testbed.start("node", PROXY))
    answers = load.communicate(timeout=60)[0].splitlines()
    assert len(answers) == 2000
    assert not [line for line in answers if "!" in line]


async def test_routes_come_move_and_go_and_others_stay(testbed):
    routes = IpRoutes(testbed.inside("node"))
    testbed.ip("node", "route add 10.50.0.0/24 via 10.90.9.2")
    a, b = Route("10.244.7.0/24", "10.90.9.7"), Route("10.244.8.0/24", "10.90.9.8")
    await routes.apply(plan(frozenset({a, b}), await routes.installed()))
    assert sorted(await routes.installed()) == [a, b]
    moved = Route(a.destination, "10.90.9.9")
    await routes.apply(plan(frozenset({moved}), await routes.installed()))
    assert await routes.installed() == [moved]
    await routes.apply(Plan(remove=(moved,)))
    assert await routes.installed() == []
    shown = subprocess.run(
        testbed.inside("node", "ip", "route"), capture_output=True, text=True, check=True
    ).stdout
    assert "10.50.0.0/24" in shown


def _wait_loaded(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    while line := process.stdout.readline():
        if line == "loaded\n":
            return
    raise AssertionError("the proxy ended")
