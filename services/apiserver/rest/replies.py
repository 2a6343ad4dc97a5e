"""Objects, lists and refusals to bytes, in the encoding and shape that the client takes."""

import asyncio
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from multidict import CIMultiDict

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.requests import Listing, Stored
from pilothouse.services.apiserver.rest.exchange import NO_SHAPES, OBJECT_SHAPES, Exchange
from pilothouse.services.apiserver.rest.negotiation import (
    JSON,
    MEDIA_TYPES,
    PLAIN,
    PROTOBUF,
    Accepted,
    Encoding,
    takes_protobuf_first,
)
from pilothouse.services.apiserver.rest.packing import Packing
from pilothouse.services.apiserver.rest.tables.table import Include, Printer, partial
from pilothouse.services.machinery.errors import ApiError, BadRequest, NotAcceptable
from pilothouse.services.machinery.protobuf import envelope
from pilothouse.services.runtime import web

Headers: TypeAlias = CIMultiDict[str]
_PACKING = Packing()
# Nothing between us and the client may keep an answer.
PRIVATE = {"Cache-Control": "no-cache, private"}
# Under this size, compressing costs more than sending.
COMPRESS_BYTES_MIN = 128 * 1024
PIECE_BYTES = 64 * 1024
# Over this size, YAML and indented JSON are written in a thread: they take long.
ASIDE_BYTES_MIN = 64 * 1024
# Clients read so many headers and no more.
WARNINGS_MAX = 50
WARNINGS_LENGTH_MAX = 4096
_WARNING_LENGTH_MAX = 1024
_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"'} | {chr(n): " " for n in (*range(32), 127)})


def refuse(error: ApiError, accept: str = "") -> web.Response:
    """The ``metav1.Status`` of an error; ``accept`` is the request's header of that name."""
    packed = takes_protobuf_first(accept)
    headers: Headers = CIMultiDict({"Content-Type": PROTOBUF if packed else JSON, **PRIVATE})
    if error.retry_after_seconds:
        headers["Retry-After"] = str(error.retry_after_seconds)
    body = envelope.encode(error.status()) if packed else encode(error.status())
    return web.Response(body=body, status=error.http, headers=headers)


def encode(document: Any) -> bytes:
    """Compact JSON."""
    return msgspec.json.encode(document)


def document_reply(
    exchange: Exchange, document: Any, *, status: int = 200, content_type: str = JSON
) -> web.Response:
    """A document of ours, such as discovery's, as JSON or, where asked, as YAML or protobuf."""
    encoding = exchange.accepted().encoding
    told = content_type if encoding == "json" else MEDIA_TYPES[encoding]
    body = written(document, encoding, pretty=exchange.pretty)
    return web.Response(body=body, status=status, headers={"Content-Type": told, **PRIVATE})


def written(document: dict[str, Any], encoding: Encoding, *, pretty: bool = False) -> bytes:
    """The document in an encoding; NotAcceptable where it has no message in protobuf."""
    if encoding == "protobuf":
        return packed(document)
    if encoding == "yaml":
        return _yaml(document)
    return indented(document) if pretty else encode(document)


def packed(document: dict[str, Any]) -> bytes:
    """The document in protobuf; NotAcceptable where it has no message there."""
    try:
        # The oldest documents of discovery say no version.
        return envelope.encode(
            document
            if "apiVersion" in document
            else {
                "apiVersion": "v1",
                **document,
            }
        )
    except KeyError:
        raise NotAcceptable(f"only the following media types are accepted: {JSON}") from None


class Writer:
    """Writes one kind's objects for one exchange.

    Made before anything is done: NotAcceptable and BadRequest where no answer could be given.
    """

    __slots__ = ("_clock", "_exchange", "_kind", "_printer", "_wanted")

    def __init__(
        self,
        exchange: Exchange,
        kind: Kind,
        clock: Callable[[], float],
        shapes: frozenset[str] = OBJECT_SHAPES,
    ) -> None:
        self._exchange = exchange
        self._kind = kind
        self._clock = clock
        # What is only ever created, a review, has no metadata that a table could show.
        shaped = shapes if "get" in kind.verbs else NO_SHAPES
        self._wanted = exchange.accepted(shaped, packs=kind.custom is None)
        self._printer = self.printer() if self._wanted.shape == "Table" else None

    def object(
        self, stored: Stored, *, status: int = 200, warnings: Sequence[str] = ()
    ) -> web.Response:
        """One object: its kept bytes, or what was asked for instead."""
        wanted = self._wanted
        body = stored.json
        if wanted.shape:
            document = msgspec.json.decode(body)
            body = encode(self._shaped(document, str(stored.revision or "")))
        elif wanted.encoding == "protobuf":
            return self._reply(self._packed(stored), wanted, status, warnings)
        return self._reply(self._rendered(body, wanted), wanted, status, warnings)

    async def list(self, listing: Listing) -> web.StreamResponse:
        """A page of the collection."""
        wanted = self._wanted
        metadata: dict[str, Any] = {"resourceVersion": str(listing.revision)}
        if listing.continue_token:
            metadata["continue"] = listing.continue_token
        if listing.remaining is not None:
            metadata["remainingItemCount"] = listing.remaining
        if wanted.shape:
            documents = (msgspec.json.decode(stored.json) for stored in listing.items)
            body = encode(self._shaped_list(documents, wanted.shape, metadata))
        elif wanted.encoding == "protobuf":
            kind = self._kind
            parts = _PACKING.list(listing.items, kind.api_version, kind.kind, metadata)
            pieces = Pieces(parts, sum(map(len, parts)))
            if self._goes_in_pieces(pieces.size):
                return await send_pieces(self._exchange.request, pieces)
            body = b"".join(parts)
            return await compressed(self._exchange, self._reply(body, wanted, 200, ()))
        else:
            pieces = list_pieces(self._kind, metadata, listing)
            if wanted == PLAIN and self._goes_in_pieces(pieces.size):
                return await send_pieces(self._exchange.request, pieces)
            body = pieces.whole()
        if len(body) > ASIDE_BYTES_MIN:
            body = await asyncio.to_thread(self._rendered, body, wanted)
        else:
            body = self._rendered(body, wanted)
        return await compressed(self._exchange, self._reply(body, wanted, 200, ()))

    def _packed(self, stored: Stored) -> bytes:
        """The object in protobuf; what was computed and is no object of the kind, too."""
        kind = self._kind
        if stored.revision and stored.json.startswith(b'{"apiVersion":"%b","kind":"%b",' % (
            kind.api_version.encode(), kind.kind.encode()
        )):  # fmt: skip
            return _PACKING.object(stored, kind.api_version, kind.kind)
        return packed(msgspec.json.decode(stored.json))

    def _goes_in_pieces(self, size: int) -> bool:
        """Large, and sent as it is kept."""
        exchange = self._exchange
        plain = self._wanted.encoding == "protobuf" or not exchange.pretty
        as_kept = plain and exchange.request.method == "GET"
        return as_kept and size > PIECE_BYTES and not takes_gzip(exchange)

    def printer(self) -> Printer:
        """The printer of this kind, rows holding what ``includeObject`` says."""
        asked = self._exchange.query.get("includeObject", "")
        include: dict[str, Include] = {
            "": "Metadata", "Metadata": "Metadata", "None": "None", "Object": "Object",
        }  # fmt: skip
        if asked not in include:
            told = "must be 'Metadata', 'Object', 'None', or empty"
            raise BadRequest(
                "Unable to convert to Table as requested: includeObject: Invalid value: "
                f"{json.dumps(asked)}: {told}"
            )
        return Printer(self._kind.group, self._kind.plural, include[asked], self._kind.custom)

    def _shaped(self, document: dict[str, Any], revision: str) -> dict[str, Any]:
        if self._printer is not None:
            metadata = {"resourceVersion": revision}
            return self._printer.table([document], metadata, self._clock())
        return partial(document)

    def _shaped_list(
        self, documents: Iterable[dict[str, Any]], shape: str, metadata: dict[str, Any]
    ) -> dict[str, Any]:
        if self._printer is not None:
            return self._printer.table(documents, metadata, self._clock())
        return {
            "kind": shape,
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "items": [partial(document) for document in documents],
        }

    def _rendered(self, body: bytes, wanted: Accepted) -> bytes:
        if wanted.encoding == "protobuf":
            return packed(msgspec.json.decode(body))
        if wanted.encoding == "yaml":
            return _yaml(msgspec.json.decode(body))
        if self._exchange.pretty:
            return indented(msgspec.json.decode(body))
        return body

    def _reply(
        self, body: bytes, wanted: Accepted, status: int, warnings: Sequence[str]
    ) -> web.Response:
        headers: Headers = CIMultiDict({"Content-Type": MEDIA_TYPES[wanted.encoding], **PRIVATE})
        warn(headers, warnings)
        return web.Response(body=body, status=status, headers=headers)


@dataclass(frozen=True, slots=True)
class Pieces:
    """A body of kept bytes: a head, parts with a separator between them, and an end."""

    parts: Sequence[bytes]
    parts_size: int
    head: bytes = b""
    end: bytes = b""
    separator: bytes = b""
    content_type: str = PROTOBUF

    @property
    def size(self) -> int:
        """Bytes in all."""
        separators = len(self.separator) * max(len(self.parts) - 1, 0)
        return len(self.head) + self.parts_size + separators + len(self.end)

    def whole(self) -> bytes:
        """All of it."""
        return b"".join((self.head, self.separator.join(self.parts), self.end))

    def each(self, size: int) -> Iterator[bytes]:
        """All of it in pieces of about ``size`` bytes."""
        texts, join = [*self.parts] or [b""], self.separator.join
        texts[0] = self.head + texts[0]
        texts[-1] += self.end
        step = max(1, size * len(texts) // max(self.size, 1))
        last = len(texts) - step
        for start in range(0, len(texts), step):
            part = texts[start : start + step]
            # An empty one behind them leaves a separator at the end.
            yield join((*part, b"") if start < last else part)


def list_pieces(kind: Kind, metadata: dict[str, Any], listing: Listing) -> Pieces:
    """The list as JSON, of the bytes that are kept."""
    head = b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[' % (
        (kind.list_kind or f"{kind.kind}List").encode(),
        kind.api_version.encode(),
        encode(metadata),
    )
    texts = listing.texts or [stored.json for stored in listing.items]
    size = listing.size or sum(map(len, texts))
    return Pieces(texts, size, head, b"]}", b",", JSON)


async def send_pieces(request: web.BaseRequest, pieces: Pieces) -> web.StreamResponse:
    """The body, sent in pieces that fit the processor's cache."""
    response = web.StreamResponse(headers={"Content-Type": pieces.content_type, **PRIVATE})
    response.content_length = pieces.size
    await response.prepare(request)
    writer, transport = request.writer, request.transport
    for piece in pieces.each(PIECE_BYTES):
        if transport is None or transport.is_closing():
            raise ConnectionError("the client has gone")
        # Past aiohttp's writer: what it does for each piece, a piece does not need.
        transport.write(piece)
        await writer.drain()
    await response.write_eof()
    return response


def warn(headers: Headers, warnings: Sequence[str]) -> None:
    """Add ``Warning`` headers, which kubectl prints."""
    left = WARNINGS_LENGTH_MAX
    for text in warnings[:WARNINGS_MAX]:
        left -= min(len(text), _WARNING_LENGTH_MAX)
        if left < 0:
            return
        headers.add("Warning", warning(text))


def warning(text: str) -> str:
    """The value of a ``Warning`` header."""
    return f'299 - "{text[:_WARNING_LENGTH_MAX].translate(_ESCAPED)}"'


async def compressed(exchange: Exchange, reply: web.Response) -> web.Response:
    """The reply, compressed off the loop where it is large and the client takes gzip."""
    body = reply.body
    if not isinstance(body, bytes) or len(body) < COMPRESS_BYTES_MIN:
        return reply
    if takes_gzip(exchange):
        reply.body = await asyncio.to_thread(_gzip, body)
        reply.headers["Content-Encoding"] = "gzip"
        reply.headers["Vary"] = "Accept-Encoding"
    return reply


def takes_gzip(exchange: Exchange) -> bool:
    """Whether the client takes compressed answers."""
    return "gzip" in exchange.request.headers.get("Accept-Encoding", "")


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(level=1, wbits=31)
    return compressor.compress(body) + compressor.flush()


def indented(document: Any) -> bytes:
    """JSON for a person."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def _yaml(document: Any) -> bytes:
    import yaml  # noqa: PLC0415 - few ask for it, and it is large

    text: str = yaml.dump(
        document, Dumper=yaml.CSafeDumper, sort_keys=True, default_flow_style=False,
        allow_unicode=True, width=2**16,
    )  # fmt: skip
    return text.encode()


class _Identity(msgspec.Struct):
    name: str = ""
    uid: str = ""


class _Identified(msgspec.Struct):
    metadata: _Identity


def deleted_status(kind: Kind, stored: Stored) -> dict[str, Any]:
    """The ``metav1.Status`` that says an object is gone."""
    named = msgspec.json.decode(stored.json, type=_Identified).metadata
    details = {"name": named.name, "kind": kind.plural, "uid": named.uid}
    if kind.group:
        details["group"] = kind.group
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }
