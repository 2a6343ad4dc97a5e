"""Node ports of a network namespace on the host's loopback address."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pilothouse.ops.publish import NodePort, Publisher, wanted
from pilothouse.ops.relay import Nodes, Way
from pilothouse.services.machinery.kinds.services import Service, ServicePort, ServiceSpec
from pilothouse.services.machinery.objects import Metadata
from pilothouse.services.runtime.clock import SystemClock

# A loopback address of this test's own, so that a cluster on the machine does not meet it.
ADDRESS = "127.9.0.1"
PORT = 30777

# Reads to the end, then answers with the length and all the bytes: needs half-close to work.
ECHO = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("up", flush=True)
while True:
    connection, _ = server.accept()
    with connection:
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        connection.sendall(b"".join(parts))
"""

UDP_ECHO = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", int(sys.argv[1])))
print("up", flush=True)
while True:
    sent, peer = server.recvfrom(2048)
    server.sendto(sent[::-1], peer)
"""


class Inside:
    """A namespace with servers in it."""

    def __init__(self) -> None:
        self.name = f"publishtest{os.getpid()}"
        self.path = Path("/run/netns") / self.name
        self.processes: list[subprocess.Popen[str]] = []
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        subprocess.run(["ip", "-n", self.name, "link", "set", "lo", "up"], check=True)

    def serve(self, script: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            ["nsenter", f"--net={self.path}", sys.executable, "-c", script, str(PORT)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    def remove(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        subprocess.run(["ip", "netns", "del", self.name], check=True)


@pytest.fixture
def inside():
    namespace = Inside()
    yield namespace
    namespace.remove()


def service(*ports: ServicePort, type_: str = "NodePort") -> Service:
    return Service(
        metadata=Metadata(name="web", namespace="default"),
        spec=ServiceSpec(type=type_, ports=ports),
    )


def test_only_node_ports_of_known_protocols_are_wanted():
    ports = (
        ServicePort(port=80, node_port=30080),
        ServicePort(port=53, node_port=30053, protocol="UDP"),
        ServicePort(port=99, node_port=30099, protocol="SCTP"),
        ServicePort(port=81),
    )
    assert set(wanted([service(*ports)])) == {NodePort("TCP", 30080), NodePort("UDP", 30053)}
    assert wanted([service(*ports, type_="ClusterIP")]) == {}


async def _exchange(payload: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(ADDRESS, PORT)

    async def send() -> None:
        writer.write(payload)
        await writer.drain()
        writer.write_eof()

    async with asyncio.TaskGroup() as group:
        group.create_task(send())
        answer = group.create_task(reader.read())
    writer.close()
    return answer.result()


class Published:
    """A publisher for one test; ends with the block."""

    def __init__(self, *ways: Way) -> None:
        self._nodes = Nodes(ways, SystemClock())
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Publisher:
        await self._group.__aenter__()
        return Publisher(ADDRESS, self._nodes, self._group)

    async def __aexit__(self, *error: object) -> None:
        for task in list(self._group._tasks):
            task.cancel()
        await self._group.__aexit__(None, None, None)
        self._nodes.close()


TCP = {NodePort("TCP", PORT): service()}


async def test_megabytes_and_half_closed_ends_pass(inside):
    inside.serve(ECHO)
    async with Published(Way(inside.path, "127.0.0.1")) as publisher:
        assert await publisher.follow(TCP) == {}
        for payload in (b"", b"x", os.urandom(4 * 1024 * 1024)):
            assert await _exchange(payload) == payload


async def test_many_connections_at_once(inside):
    inside.serve(ECHO)
    async with Published(Way(inside.path, "127.0.0.1")) as publisher:
        await publisher.follow(TCP)
        async with asyncio.TaskGroup() as group:
            answers = [group.create_task(_exchange(bytes([i % 256]) * 100)) for i in range(300)]
        assert [a.result() for a in answers] == [bytes([i % 256]) * 100 for i in range(300)]


async def test_a_server_that_comes_late_is_reached(inside):
    async with Published(Way(inside.path, "127.0.0.1")) as publisher:
        await publisher.follow(TCP)
        async with asyncio.TaskGroup() as group:
            answer = group.create_task(_exchange(b"early"))
            await asyncio.sleep(0.1)
            await asyncio.to_thread(inside.serve, ECHO)
        assert answer.result() == b"early"


async def test_nobody_there_is_a_reset_not_an_answer(inside):
    async with Published(Way(inside.path, "127.0.0.1")) as publisher:
        await publisher.follow(TCP)
        with pytest.raises((ConnectionResetError, BrokenPipeError, ExceptionGroup)):
            await _exchange(b"x")


async def test_a_node_that_is_gone_is_passed_over(inside):
    inside.serve(ECHO)
    ways = [Way(Path("/run/netns/none-such"), "127.0.0.1"), Way(inside.path, "127.0.0.1")]
    async with Published(*ways) as publisher:
        await publisher.follow(TCP)
        assert await _exchange(b"over there") == b"over there"


async def test_a_taken_port_is_told_and_the_others_work(inside):
    inside.serve(ECHO)
    taken = await asyncio.start_server(lambda _r, w: w.close(), ADDRESS, PORT + 1)
    async with taken, Published(Way(inside.path, "127.0.0.1")) as publisher:
        failed = await publisher.follow({**TCP, NodePort("TCP", PORT + 1): service()})
        assert set(failed) == {NodePort("TCP", PORT + 1)}
        assert await _exchange(b"x") == b"x"


async def test_a_port_that_is_no_longer_wanted_closes(inside):
    inside.serve(ECHO)
    async with Published(Way(inside.path, "127.0.0.1")) as publisher:
        await publisher.follow(TCP)
        assert await _exchange(b"x") == b"x"
        await publisher.follow({})
        await asyncio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            await _exchange(b"x")
        await publisher.follow(TCP)
        assert await _exchange(b"again") == b"again"


async def test_datagrams_come_back_to_whoever_sent_them(inside):
    inside.serve(UDP_ECHO)
    loop = asyncio.get_running_loop()
    async with Published(Way(inside.path, "127.0.0.1")) as publisher:
        assert await publisher.follow({NodePort("UDP", PORT): service()}) == {}
        for text in (b"abc", b"xyz"):
            answered: asyncio.Future[bytes] = loop.create_future()

            class Client(asyncio.DatagramProtocol):
                def __init__(self, answered: asyncio.Future[bytes]) -> None:
                    self.answered = answered

                def datagram_received(self, data: bytes, addr: object) -> None:
                    self.answered.set_result(data)

            transport, _ = await loop.create_datagram_endpoint(
                lambda answered=answered: Client(answered), remote_addr=(ADDRESS, PORT)
            )
            transport.sendto(text)
            assert await asyncio.wait_for(answered, 5) == text[::-1]
            transport.close()
