"""Ports of a pod over a WebSocket of channels, as clients before tunnels have it.

For port number ``i`` of those asked for, channel ``2i`` carries data and ``2i + 1`` errors; the
first message of each is the port, two bytes, the lower one first.
"""

import asyncio
import contextlib
from collections.abc import Sequence

from aiohttp import WSMsgType, web

from pilothouse.services.kubelet.rest.bridge import MESSAGE_BYTES_MAX, PING_SECONDS
from pilothouse.services.runtime.spdy.connection import Connection, Stream, upgrade

PROTOCOL = "v4.channel.k8s.io"
CHANNELS_MAX = 254


async def forward(request: web.Request, url: str, ports: Sequence[int]) -> web.StreamResponse:
    """Relay until the client closes or every port is done."""
    reader, writer = await upgrade(url, "portforward.k8s.io")
    connection = Connection(reader, writer)
    socket = web.WebSocketResponse(
        protocols=(PROTOCOL,),
        heartbeat=PING_SECONDS,
        max_msg_size=MESSAGE_BYTES_MAX,
        compress=False,
    )
    try:
        await socket.prepare(request)
        async with asyncio.TaskGroup() as group:
            receiving = group.create_task(connection.run())
            streams: list[Stream] = []
            for index, port in enumerate(ports):
                named = {"port": str(port), "requestID": str(index)}
                error = await connection.open({"streamType": "error", **named})
                data = await connection.open({"streamType": "data", **named})
                streams += [data, error]
            for channel in range(len(streams)):
                await _send(socket, channel, ports[channel // 2].to_bytes(2, "little"))
            sending = group.create_task(_from_client(socket, streams))
            relays = [
                group.create_task(_to_client(socket, channel, stream))
                for channel, stream in enumerate(streams)
            ]
            all_relayed = group.create_task(_wait_all(relays))
            await asyncio.wait([sending, all_relayed], return_when=asyncio.FIRST_COMPLETED)
            for task in (sending, all_relayed, receiving, *relays):
                task.cancel()
    finally:
        await connection.close()
        await socket.close()
    return socket


async def _wait_all(relays: Sequence[asyncio.Task[None]]) -> None:
    await asyncio.wait(relays)


async def _from_client(socket: web.WebSocketResponse, streams: Sequence[Stream]) -> None:
    async for message in socket:
        if message.type != WSMsgType.BINARY or not message.data:
            continue
        channel = message.data[0]
        if channel % 2 == 0 and channel < len(streams):
            await streams[channel].write(message.data[1:])


async def _to_client(socket: web.WebSocketResponse, channel: int, stream: Stream) -> None:
    async for chunk in stream.read():
        await _send(socket, channel, chunk)


async def _send(socket: web.WebSocketResponse, channel: int, content: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        await socket.send_bytes(bytes([channel]) + content)
