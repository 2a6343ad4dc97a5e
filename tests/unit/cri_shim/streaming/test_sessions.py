"""Streams of clients: sizes, tokens, the SPDY server's side, and ports."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.cri_shim.streaming import commands, forwarding, statuses, tokens
from pilothouse.cri_shim.streaming.sessions import SpdySession, sizes_of
from pilothouse.cri_shim.streaming.tokens import Tokens, Wish
from pilothouse.services.machinery.errors import (
    BadRequest,
    NotFound,
    ServiceUnavailable,
    TooManyRequests,
)
from pilothouse.services.runtime.spdy.connection import Connection, Stream

WISH = Wish("exec", "c1", ("true",))


class FakeClock:
    def __init__(self) -> None:
        self.time = 0.0

    def monotonic(self) -> float:
        return self.time


def test_a_token_is_good_once_and_for_a_minute() -> None:
    clock = FakeClock()
    kept = Tokens(clock)
    token = kept.keep(WISH)
    with pytest.raises(NotFound):
        kept.take("attach", token)
    assert kept.take("exec", token) == WISH
    with pytest.raises(NotFound):
        kept.take("exec", token)
    token = kept.keep(WISH)
    clock.time += tokens.TOKEN_SECONDS
    with pytest.raises(NotFound):
        kept.take("exec", token)
    for _ in range(tokens.TOKENS_MAX):
        kept.keep(WISH)
    with pytest.raises(TooManyRequests):
        kept.keep(WISH)
    clock.time += tokens.TOKEN_SECONDS
    kept.keep(WISH)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=4), st.integers(0, 100))
def test_sizes_come_in_any_pieces(widths: list[int], cut: int) -> None:
    text = b"".join(b'{"Width":%d,"Height":5}' % width for width in widths)
    first, rest = sizes_of(text[:cut])
    second, rest = sizes_of(rest + text[cut:])
    assert [size[0] for size in first + second] == widths
    assert rest == b""


def test_nonsense_is_no_size() -> None:
    assert sizes_of(b'{"Width":0,"Height":5}{"a":1}}{"Width":"x","Height":2}')[0] == []
    assert len(sizes_of(b"x" * 100_000)[1]) <= 1024


def test_a_command_resembles_the_container() -> None:
    main = {"args": ["sleep"], "env": ["A=b", "TERM=dumb"], "cwd": "/", "consoleSize": {}}
    assert commands.process_of(main, ["ls"], tty=False) == {
        "args": ["ls"], "env": ["A=b", "TERM=dumb"], "cwd": "/", "terminal": False,
    }  # fmt: skip
    assert commands.process_of(main, ["ls"], tty=True)["env"] == ["A=b", "TERM=xterm"]


def test_statuses() -> None:
    assert statuses.of_exit(0)["status"] == "Success"
    assert statuses.of_exit(3)["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert statuses.of_failure("no")["reason"] == "InternalError"


@asynccontextmanager
async def _pair() -> AsyncIterator[tuple[Connection, "asyncio.Queue[Stream | None]"]]:
    """A client's connection, and the streams that the server accepts."""
    accepted: asyncio.Queue[Stream | None] = asyncio.Queue()
    ends: list[Connection] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer, accepted)
        ends.append(connection)
        await connection.run()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, asyncio.TaskGroup() as group:
        port = server.sockets[0].getsockname()[1]
        client = Connection(*await asyncio.open_connection("127.0.0.1", port))
        receiving = group.create_task(client.run())
        yield client, accepted
        await client.close()
        receiving.cancel()
        for end in ends:
            await end.close()


async def test_streams_are_accepted_and_carried_both_ways() -> None:
    async with _pair() as (client, accepted):
        streams = {
            kind: await client.open({"streamType": kind}) for kind in ("error", "stdin", "stdout")
        }
        session = await SpdySession.accept(accepted, frozenset(streams), plain_errors=False)
        await streams["stdin"].write(b"hello")
        await streams["stdin"].write(b"", last=True)
        assert b"".join([chunk async for chunk in session.stdin()]) == b"hello"
        await session.write("stdout", b"bye")
        await session.finish(statuses.SUCCESS)
        assert b"".join([chunk async for chunk in streams["stdout"].read()]) == b"bye"
        assert b"Success" in b"".join([chunk async for chunk in streams["error"].read()])


async def test_other_streams_are_refused() -> None:
    async with _pair() as (client, accepted):
        await client.open({"streamType": "other"})
        with pytest.raises(BadRequest, match="other"):
            await SpdySession.accept(accepted, frozenset({"error"}), plain_errors=False)


async def test_each_port_has_its_own_end() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def connect(asked: int) -> forwarding.Pipe:
        if asked != port:
            raise ServiceUnavailable("connection refused")
        return await asyncio.open_connection("127.0.0.1", asked)

    async def ask(client: Connection, name: str, said: str) -> tuple[bytes, bytes]:
        headers = {"port": said, "requestID": name}
        error = await client.open({"streamType": "error", **headers})
        data = await client.open({"streamType": "data", **headers})
        await data.write(b"ping")
        await data.write(b"", last=True)
        got = b"".join([chunk async for chunk in data.read()])
        return got, b"".join([chunk async for chunk in error.read()])

    async with server, _pair() as (client, accepted), asyncio.TaskGroup() as group:
        serving = group.create_task(forwarding.forward(accepted, connect))
        assert await ask(client, "0", str(port)) == (b"ping", b"")
        assert b"refused" in (await ask(client, "1", "1"))[1]
        assert b"unable to parse" in (await ask(client, "2", "x"))[1]
        assert await ask(client, "3", str(port)) == (b"ping", b"")
        serving.cancel()
