"""A node in network namespaces of its own: two backends on a bridge, a client outside.

client 10.90.9.2 ── 10.90.9.1 node 10.244.1.1 ── bridge ── backends 10.244.1.2, 10.244.1.3
"""

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
import uvloop

from pilothouse.services.proxy.adapters import sysctls
from pilothouse.services.proxy.adapters.nftables import Library, Nftables

T = TypeVar("T")
CLUSTER_CIDR = "10.244.0.0/16"
NODE = "10.90.9.1"
CLIENT = "10.90.9.2"
BACKENDS = ("10.244.1.2", "10.244.1.3")
_CLONE_NEWNET = 0x40000000

# Answers each TCP connection with its own name and the client's address, then closes.
SERVER = """
import socket, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])), backlog=512)
print("up", flush=True)
while True:
    connection, peer = server.accept()
    connection.sendall(f"{sys.argv[2]} {peer[0]}".encode())
    connection.close()
"""

# Connects so many times in a row and prints every answer on a line; "!" and the error on failure.
CLIENT_LOOP = """
import socket, sys
for _ in range(int(sys.argv[3])):
    try:
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5) as connection:
            print(connection.recv(100).decode(), flush=True)
    except OSError as error:
        print("!", type(error).__name__, flush=True)
"""

UDP_SERVER = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", int(sys.argv[1])))
print("up", flush=True)
while True:
    _, peer = server.recvfrom(100)
    server.sendto(sys.argv[2].encode(), peer)
"""

# One socket, and so one flow: sends, and prints the answer ("!" for none), a line of input each.
UDP_CLIENT = """
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(2)
for _ in sys.stdin:
    try:
        client.sendto(b"x", (sys.argv[1], int(sys.argv[2])))
        print(client.recv(100).decode(), flush=True)
    except OSError:
        print("!", flush=True)
"""


@dataclass
class Testbed:
    """Namespaces ``node``, ``client``, ``backend-0`` and ``backend-1``."""

    prefix: str
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def netns(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def inside(self, name: str, *command: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.netns(name)}", *command]

    def start(self, name: str, script: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self.inside(name, sys.executable, "-c", script, *map(str, arguments)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def serve(self, backend: int, port: int, *, udp: bool = False) -> subprocess.Popen[str]:
        """A server in a backend's namespace that answers with the backend's name."""
        script = UDP_SERVER if udp else SERVER
        process = self.start(f"backend-{backend}", script, port, f"backend-{backend}")
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    def start_load(self, name: str, address: str, port: int, times: int) -> subprocess.Popen[str]:
        return self.start(name, CLIENT_LOOP, address, port, times)

    def connect(self, name: str, address: str, port: int, times: int) -> list[str]:
        """The answers of so many new connections from the namespace ``name``."""
        output, _ = self.start_load(name, address, port, times).communicate(timeout=60)
        return output.splitlines()

    def flow(self, name: str, address: str, port: int) -> Callable[[], str]:
        """One UDP flow; each call sends a datagram on it and gives the answer."""
        process = self.start(name, UDP_CLIENT, address, port)

        def ask() -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        return ask

    def run_in_node(self, call: Callable[[], T]) -> T:
        """Call on a thread of its own that has entered the node's namespace."""
        results: list[T] = []

        def enter() -> None:
            path = Path("/run/netns") / self.netns("node")
            descriptor = os.open(path, os.O_RDONLY)
            assert ctypes.CDLL(None).setns(descriptor, _CLONE_NEWNET) == 0
            os.close(descriptor)
            results.append(call())

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return results[0]

    def kernel(self, nodeport_addresses: tuple[str, ...] = ()) -> Nftables:
        """The node's table; its netlink socket stays in the namespace it was opened in."""
        return Nftables(
            self.run_in_node(Library),
            cluster_cidr=CLUSTER_CIDR,
            nodeport_addresses=nodeport_addresses,
        )

    def nft(self, *arguments: str) -> str:
        command = self.inside("node", "nft", *arguments)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def ip(self, name: str, *commands: str) -> None:
        subprocess.run(
            ["ip", "-n", self.netns(name), "-batch", "-"],
            input="\n".join(commands),
            text=True,
            check=True,
        )

    def lay(self) -> None:
        names = ("node", "client", "backend-0", "backend-1")
        for name in names:
            subprocess.run(["ip", "netns", "add", self.netns(name)], check=True)
            self.ip(name, "link set lo up")
        client = self.netns("client")
        self.ip(
            "node",
            "link add pods type bridge",
            "addr add 10.244.1.1/24 dev pods",
            "link set pods up",
            f"link add outside type veth peer name eth0 netns {client}",
            f"addr add {NODE}/24 dev outside",
            "link set outside up",
            f"route add default via {CLIENT}",
        )
        self.ip(
            "client",
            f"addr add {CLIENT}/24 dev eth0",
            "link set eth0 up",
            f"route add default via {NODE}",
        )
        for number, address in enumerate(BACKENDS):
            name = self.netns(f"backend-{number}")
            self.ip(
                "node",
                f"link add pod{number} type veth peer name eth0 netns {name}",
                f"link set pod{number} master pods up",
                f"link set pod{number} type bridge_slave hairpin on",
            )
            self.ip(
                f"backend-{number}",
                f"addr add {address}/24 dev eth0",
                "link set eth0 up",
                "route add default via 10.244.1.1",
            )

    def remove(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        for name in ("node", "client", "backend-0", "backend-1"):
            subprocess.run(
                ["ip", "netns", "del", self.netns(name)], check=False, capture_output=True
            )


@pytest.fixture
def testbed() -> Iterator[Testbed]:
    bed = Testbed(f"proxytest{os.getpid()}")
    try:
        bed.lay()
        bed.run_in_node(sysctls.set_wanted)
        yield bed
    finally:
        bed.remove()


def pytest_asyncio_loop_factories(config, item):
    """uvloop, as the services run on: its pipes and sockets are not asyncio's own."""
    return {"uvloop": uvloop.new_event_loop}
