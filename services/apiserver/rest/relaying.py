"""WebSocket messages passed on, both ways, in each side's own form, until one side closes."""

import asyncio
from typing import TypeAlias

from aiohttp import ClientWebSocketResponse, WSMsgType

from pilothouse.services.apiserver.rest.channels import Form
from pilothouse.services.machinery.errors import BadRequest
from pilothouse.services.runtime import web

Socket: TypeAlias = "ClientWebSocketResponse | web.WebSocketResponse"
GOING_AWAY = 1001


class _Closed(Exception):
    """One side has closed; the other follows."""


async def relay(
    client: web.WebSocketResponse, kubelet: ClientWebSocketResponse, form: Form
) -> None:
    """Pass messages on until a side closes, then close the other with the same code.

    At most one message is held for each direction: who does not read holds up who writes.
    """
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_upward(client, kubelet, form))
            group.create_task(_downward(kubelet, client, form))
    except* (_Closed, ConnectionError, BadRequest):
        pass


async def _upward(source: web.WebSocketResponse, sink: Socket, form: Form) -> None:
    while True:
        await sink.send_bytes(form.to_kubelet(await _content(source, sink)))


async def _downward(source: Socket, sink: web.WebSocketResponse, form: Form) -> None:
    while True:
        shown = form.to_client(await _content(source, sink))
        if shown is None:
            continue
        if form.is_text:
            await sink.send_str(shown.decode())
        else:
            await sink.send_bytes(shown)


async def _content(source: Socket, sink: Socket) -> bytes:
    """The next message; at the end the other side is closed and the relay with it."""
    message = await source.receive()
    if message.type == WSMsgType.BINARY:
        return bytes(message.data)
    if message.type == WSMsgType.TEXT:
        return str(message.data).encode()
    await sink.close(code=source.close_code or GOING_AWAY)
    raise _Closed
