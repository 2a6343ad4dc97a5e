"""WebSocket messages passed on unchanged, both ways, until one side closes."""

import asyncio
from typing import TypeAlias

from aiohttp import ClientWebSocketResponse, WSMsgType, web

Socket: TypeAlias = "ClientWebSocketResponse | web.WebSocketResponse"
GOING_AWAY = 1001


class _Closed(Exception):
    """One side has closed; the other follows."""


async def relay(client: web.WebSocketResponse, kubelet: ClientWebSocketResponse) -> None:
    """Pass messages on until a side closes, then close the other with the same code.

    At most one message is held for each direction: who does not read holds up who writes.
    """
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_forward(client, kubelet))
            group.create_task(_forward(kubelet, client))
    except* (_Closed, ConnectionError):
        pass


async def _forward(source: Socket, sink: Socket) -> None:
    while True:
        message = await source.receive()
        if message.type == WSMsgType.BINARY:
            await sink.send_bytes(message.data)
        elif message.type == WSMsgType.TEXT:
            await sink.send_str(message.data)
        else:
            await sink.close(code=source.close_code or GOING_AWAY)
            raise _Closed
