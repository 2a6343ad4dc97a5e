"""A watch to its client: a JSON line, a protobuf frame or a WebSocket message an event.

Nothing is buffered here: while a client does not read, the registry's bounded buffer fills, and
when that is full the stream ends and the client watches anew.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any

import msgspec

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.requests import ReadOptions, Stored, WatchEvent
from pilothouse.services.apiserver.rest.exchange import OBJECT_SHAPES, Exchange
from pilothouse.services.apiserver.rest.negotiation import JSON, PROTOBUF
from pilothouse.services.apiserver.rest.replies import PRIVATE, Writer, encode, packed
from pilothouse.services.apiserver.rest.tables.table import Printer, partial
from pilothouse.services.machinery.errors import ApiError, NotAcceptable
from pilothouse.services.machinery.protobuf import envelope
from pilothouse.services.runtime import web

# Clients that name no end are sent away after a random time between these two.
SECONDS_MIN = 1800.0
SECONDS_MAX = 3600.0
# Gone, and Timeout for a revision that does not come.
REVISION_REFUSALS = (410, 504)
INITIAL_END = "k8s.io/initial-events-end"
PING_SECONDS = 30.0
SHARED_MAX = 128
"""Lines kept for watchers of the same form."""

Batches = AsyncIterator[Sequence[WatchEvent]]


class Shared:
    """What was last written for one watcher, for the next one that takes the same form."""

    def __init__(self) -> None:
        self._lines: dict[tuple[Any, ...], tuple[Stored, bytes]] = {}

    def line(self, form: tuple[Any, ...], event: WatchEvent, write: Callable[[], bytes]) -> bytes:
        """The event's line in that form."""
        key = (id(event.object), event.type, form)
        found = self._lines.get(key)
        if found is not None and found[0] is event.object:
            return found[1]
        line = write()
        if len(self._lines) >= SHARED_MAX:
            self._lines.clear()
        self._lines[key] = event.object, line
        return line


class Lines:
    """Events as wire lines, in the shape that the client asked for."""

    def __init__(
        self, exchange: Exchange, kind: Kind, clock: Callable[[], float], shared: Shared
    ) -> None:
        wanted = exchange.accepted(OBJECT_SHAPES, packs=kind.custom is None)
        if wanted.encoding == "yaml":
            raise NotAcceptable(
                "only the following media types are accepted: "
                f"{JSON};stream=watch, {PROTOBUF};stream=watch"
            )
        self._packed = wanted.encoding == "protobuf"
        self.content_type = f"{PROTOBUF};stream=watch" if self._packed else JSON
        self.kind = kind
        self._clock = clock
        self._shape = wanted.shape
        self._printer: Printer | None = None
        if wanted.shape == "Table":
            self._printer = Writer(exchange, kind, clock).printer()
        self._headed = False
        self._shared = shared
        included = exchange.query.get("includeObject", "") if self._printer else ""
        self._form = (kind.api_version, kind.plural, wanted, included)

    def line(self, event: WatchEvent) -> bytes:
        """One event: JSON with its line end, or a frame of protobuf."""
        if event.type == "BOOKMARK":
            return self._line(event.type, self._bookmark(event))
        if self._printer is None and not self._shape and not self._packed:
            return self._line(event.type, event.object.json)
        headed, self._headed = not self._headed, True
        form = (*self._form, headed and self._printer is not None)
        return self._shared.line(form, event, lambda: self._shaped(event, headed=headed))

    def refusal(self, error: ApiError) -> bytes:
        """The event that ends a stream with an error."""
        return self._line("ERROR", encode(error.status()))

    def _shaped(self, event: WatchEvent, *, headed: bool) -> bytes:
        body = event.object.json
        if self._printer is not None:
            document = msgspec.json.decode(body)
            metadata = {"resourceVersion": str(event.object.revision)}
            table = self._printer.table([document], metadata, self._clock(), headed=headed)
            body = encode(table)
        elif self._shape:
            body = encode(partial(msgspec.json.decode(body)))
        return self._line(event.type, body)

    def _line(self, type_: str, body: bytes) -> bytes:
        if self._packed:
            return envelope.watch_frame(type_, packed(msgspec.json.decode(body)))
        return b'{"type":"%b","object":%b}\n' % (type_.encode(), body)

    def _bookmark(self, event: WatchEvent) -> bytes:
        metadata: dict[str, Any] = {"resourceVersion": str(event.object.revision)}
        if event.initial_end:
            metadata["annotations"] = {INITIAL_END: "true"}
        kind, version = self.kind.kind, self.kind.api_version
        if self._shape == "PartialObjectMetadata":
            kind, version = "PartialObjectMetadata", "meta.k8s.io/v1"
        document = {"kind": kind, "apiVersion": version, "metadata": metadata}
        if self._printer is None:
            return encode(document)
        headed, self._headed = not self._headed, True
        told = {"resourceVersion": str(event.object.revision)}
        return encode(self._printer.table([document], told, self._clock(), headed=headed))


class _Chunks:
    """A chunked HTTP answer; ``response`` is None until the head was sent."""

    def __init__(self, request: web.BaseRequest, content_type: str) -> None:
        self._request = request
        self._content_type = content_type
        self.response: web.StreamResponse | None = None

    async def open(self) -> web.StreamResponse:
        if self.response is None:
            response = web.StreamResponse(headers={"Content-Type": self._content_type, **PRIVATE})
            response.enable_chunked_encoding()
            await response.prepare(self._request)
            self.response = response
        return self.response

    async def close(self) -> web.StreamResponse:
        response = await self.open()
        await response.write_eof()
        return response

    async def send(self, lines: Sequence[bytes]) -> None:
        response = await self.open()
        await response.write(b"".join(lines))


class _Messages:
    """A WebSocket: one message an event, text for JSON."""

    def __init__(self, request: web.BaseRequest, content_type: str) -> None:
        self._request = request
        self._content_type = content_type
        self.response: web.WebSocketResponse | None = None

    async def open(self) -> web.WebSocketResponse:
        if self.response is None:
            response = web.WebSocketResponse(heartbeat=PING_SECONDS)
            await response.prepare(self._request)
            self.response = response
        return self.response

    async def close(self) -> web.StreamResponse:
        response = await self.open()
        await response.close()
        return response

    async def send(self, lines: Sequence[bytes]) -> None:
        response = await self.open()
        for line in lines:
            if self._content_type == JSON:
                await response.send_str(line[:-1].decode())
            else:
                await response.send_bytes(line[envelope.FRAME_HEAD_BYTES :])


def duration_seconds(options: ReadOptions) -> float:
    """How long a watch lasts: what the client says, else between half an hour and one."""
    if options.timeout_seconds:
        return options.timeout_seconds
    return random.uniform(SECONDS_MIN, SECONDS_MAX)  # noqa: S311 - spreads reconnects, no secret


class Watches:
    """All open watches, so that they can be ended in good order before the server goes."""

    def __init__(self) -> None:
        self.shared = Shared()
        self.sent: Counter[tuple[str, str, str]] = Counter()
        """Events by group, version and plural."""
        self._limits: set[asyncio.Timeout] = set()

    def end(self) -> None:
        """Have every stream end now, as if its time were up."""
        now = asyncio.get_running_loop().time()
        for limit in tuple(self._limits):
            if not limit.expired():
                limit.reschedule(now)

    async def stream(
        self, exchange: Exchange, batches: Batches, lines: Lines, seconds: float
    ) -> web.StreamResponse:
        """Send until the time is up, the client goes, or the watch ends.

        Raises:
            ApiError: refused before anything was sent; later refusals go into the stream.
        """
        upgrade = exchange.request.headers.get("Upgrade", "").lower() == "websocket"
        kind = _Messages if upgrade else _Chunks
        sink = kind(exchange.request, lines.content_type)
        limit = asyncio.timeout(seconds)
        self._limits.add(limit)
        try:
            async with limit:
                await self._pump(batches, lines, sink)
        except TimeoutError:
            pass
        except ApiError as error:
            # Revisions out of reach are told in the stream even at its start: informers look there.
            if sink.response is None and error.http not in REVISION_REFUSALS:
                raise
            await sink.send([lines.refusal(error)])
        finally:
            self._limits.discard(limit)
            if isinstance(batches, AsyncGenerator):
                await batches.aclose()
        return await sink.close()

    async def _pump(self, batches: Batches, lines: Lines, sink: _Chunks | _Messages) -> None:
        async for batch in batches:
            # The first batch, though it may be empty, says that the watch stands: the head goes.
            await sink.open()
            if batch:
                await sink.send([lines.line(event) for event in batch])
                self.sent[lines.kind.group, lines.kind.version, lines.kind.plural] += len(batch)
