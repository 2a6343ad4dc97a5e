"""Bytes between a socket of the host and one in a node's network namespace.

    client ──▶ 127.0.0.1:PORT (host) ──▶ this process ──▶ node:PORT (namespace) ──▶ Service

A socket belongs for life to the namespace of the thread that made it, so one thread lives in the
node's namespace and makes sockets; everything else happens on the event loop outside.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from typing_extensions import override

from pilothouse.ops.local.kernel import enter_netns
from pilothouse.services.runtime.clock import Clock

BUFFER_BYTES = 64 * 1024
CONNECT_SECONDS_MAX = 3.0
REFUSED_SECONDS_MAX = 1.0
"""For so long a refusal is tried again: an endpoint may just have gone."""
REFUSED_PAUSE_SECONDS = 0.02
FLOWS_MAX = 1024

_LINGER_NOT = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Way:
    """A node: the file of its network namespace, and its address there."""

    netns: Path
    address: str


class Namespace:
    """Makes sockets in the namespace of a file, whichever namespace is mounted there now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entered = (0, 0)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=path.name)

    async def make(self, kind: socket.SocketKind) -> socket.socket:
        """A non-blocking IPv4 socket. Raises OSError when the namespace is not there."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._make, kind)

    def close(self) -> None:
        self._thread.shutdown(wait=False)

    def _make(self, kind: socket.SocketKind) -> socket.socket:
        found = os.stat(self._path)  # noqa: PTH116 - the file, not what a Path makes of it
        if (found.st_dev, found.st_ino) != self._entered:
            enter_netns(self._path)
            self._entered = (found.st_dev, found.st_ino)
        made = socket.socket(socket.AF_INET, kind)
        made.setblocking(False)
        return made


class Nodes:
    """The ways into the cluster; the first that answers is used until it fails."""

    def __init__(self, ways: Sequence[Way], clock: Clock) -> None:
        self._ways = [(Namespace(way.netns), way.address) for way in ways]
        self._clock = clock

    def close(self) -> None:
        for namespace, _ in self._ways:
            namespace.close()

    async def connect(self, port: int) -> socket.socket:
        """A new connection to the node port. Raises OSError when every try failed."""
        until = self._clock.monotonic() + REFUSED_SECONDS_MAX
        while True:
            try:
                return await self._connect_once(port)
            except ConnectionRefusedError:
                if self._clock.monotonic() >= until:
                    raise
            await self._clock.sleep(REFUSED_PAUSE_SECONDS)

    async def datagrams(self, port: int) -> socket.socket:
        """A UDP socket connected to the node port of the first node. Raises OSError."""
        namespace, address = self._ways[0]
        made = await namespace.make(socket.SOCK_DGRAM)
        try:
            made.connect((address, port))
        except OSError:
            made.close()
            raise
        return made

    async def _connect_once(self, port: int) -> socket.socket:
        for namespace, address in list(self._ways):
            try:
                return await _connected(namespace, address, port)
            except ConnectionRefusedError:
                raise  # the node is there, and so is its answer
            except OSError:  # unreachable or silent: the next node may be neither
                self._ways.append(self._ways.pop(0))
        raise ConnectionError(f"no node answers on port {port}")


async def _connected(namespace: Namespace, address: str, port: int) -> socket.socket:
    made = await namespace.make(socket.SOCK_STREAM)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            await asyncio.get_running_loop().sock_connect(made, (address, port))
    except BaseException:
        made.close()
        raise
    return made


async def relay(client: socket.socket, nodes: Nodes, port: int) -> None:
    """Carry bytes both ways until both sides have ended; never raises for what a peer does."""
    client.setblocking(False)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    from_client, to_client = await asyncio.open_connection(sock=client, limit=BUFFER_BYTES)
    try:
        inside = await nodes.connect(port)
        from_node, to_node = await asyncio.open_connection(sock=inside, limit=BUFFER_BYTES)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(from_client, to_node))
                group.create_task(_pump(from_node, to_client))
        except* OSError:
            # A reset on one side becomes a reset on the other, not an orderly end.
            _reset(to_node)
            _reset(to_client)
        finally:
            to_node.close()
    except OSError:
        _reset(to_client)
    finally:
        to_client.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, whatever is still unsent."""
    peer: socket.socket | None = writer.get_extra_info("socket")
    if peer is not None:
        with contextlib.suppress(OSError):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, to its end; the other side's reading end is closed then, no more."""
    while chunk := await reader.read(BUFFER_BYTES):
        writer.write(chunk)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


class Datagrams(asyncio.DatagramProtocol):
    """UDP: one flow per client address; the one that was quiet longest makes room for a new one."""

    def __init__(self) -> None:
        self.transport: asyncio.DatagramTransport | None = None
        self.arrived: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue(FLOWS_MAX)
        self._flows: OrderedDict[tuple[str, int], asyncio.DatagramTransport] = OrderedDict()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)  # no common class says so

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        with contextlib.suppress(asyncio.QueueFull):  # a datagram too many is a datagram lost
            self.arrived.put_nowait((data, addr))

    async def run(self, nodes: Nodes, port: int) -> None:
        """Carry datagrams until cancelled."""
        try:
            while True:
                data, client = await self.arrived.get()
                with contextlib.suppress(OSError):
                    (await self._flow(client, nodes, port)).sendto(data)
        finally:
            for flow in self._flows.values():
                flow.close()
            if self.transport is not None:
                self.transport.close()

    async def _flow(
        self, client: tuple[str, int], nodes: Nodes, port: int
    ) -> asyncio.DatagramTransport:
        flow = self._flows.get(client)
        if flow is None or flow.is_closing():
            made = await nodes.datagrams(port)
            loop = asyncio.get_running_loop()
            flow, _ = await loop.create_datagram_endpoint(lambda: _Answers(self, client), sock=made)
            self._flows[client] = flow
            if len(self._flows) > FLOWS_MAX:
                self._flows.popitem(last=False)[1].close()
        self._flows.move_to_end(client)
        return flow


class _Answers(asyncio.DatagramProtocol):
    """What comes back on one flow."""

    def __init__(self, outside: Datagrams, client: tuple[str, int]) -> None:
        self._outside = outside
        self._client = client

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._outside.transport is not None:
            self._outside.transport.sendto(data, self._client)
