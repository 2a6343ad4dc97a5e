"""SPDY/3.1 frames to bytes and back; a header block's compression lasts a whole connection."""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pilothouse.services.runtime.spdy.dictionary import DICTIONARY

VERSION = 3
CONTROL = 0x8000
FIN = 0x01
HEAD_BYTES = 8
FRAME_BYTES_MAX = (1 << 24) - 1
STREAM_MASK = 0x7FFFFFFF

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS = 1, 2, 3, 4
PING, GOAWAY, HEADERS, WINDOW_UPDATE = 6, 7, 8, 9

HEADER_COUNT_MAX = 256
CANCEL = 5


class FrameError(Exception):
    """The peer sent what is no SPDY/3.1."""


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of a stream; ``last`` closes the sender's side of it."""

    stream: int
    content: bytes
    last: bool = False


@dataclass(frozen=True, slots=True)
class Control:
    """Any control frame. ``stream`` is 0 where the type has none, ``headers`` empty likewise."""

    type: int
    stream: int
    payload: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    last: bool = False


def data(frame: Data) -> bytes:
    """A data frame."""
    flags = FIN if frame.last else 0
    head = struct.pack(">II", frame.stream, flags << 24 | len(frame.content))
    return head + frame.content


def control(type_: int, payload: bytes, flags: int = 0) -> bytes:
    """A control frame."""
    head = struct.pack(">HHI", CONTROL | VERSION, type_, flags << 24 | len(payload))
    return head + payload


def rst_stream(stream: int, status: int = CANCEL) -> bytes:
    """End a stream at once."""
    return control(RST_STREAM, struct.pack(">II", stream, status))


class Encoder:
    """Our side of the header compression."""

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(zdict=DICTIONARY)

    def syn_stream(self, stream: int, headers: Mapping[str, str], *, last: bool = False) -> bytes:
        """Open a stream of ours."""
        block = self._block(headers)
        head = struct.pack(">IIH", stream, 0, 0)
        return control(SYN_STREAM, head + block, FIN if last else 0)

    def syn_reply(self, stream: int, headers: Mapping[str, str]) -> bytes:
        """Accept a stream of the peer."""
        return control(SYN_REPLY, struct.pack(">I", stream) + self._block(headers))

    def _block(self, headers: Mapping[str, str]) -> bytes:
        plain = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                plain += struct.pack(">I", len(text)) + text
        return self._zlib.compress(plain) + self._zlib.flush(zlib.Z_SYNC_FLUSH)


class Decoder:
    """Bytes of the peer to frames."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zdict=DICTIONARY)
        self._buffer = bytearray()

    def feed(self, content: bytes) -> Iterator[Data | Control]:
        """The frames that are complete with ``content``; FrameError on nonsense."""
        self._buffer += content
        while len(self._buffer) >= HEAD_BYTES:
            first, second = struct.unpack_from(">II", self._buffer)
            length = second & FRAME_BYTES_MAX
            if len(self._buffer) < HEAD_BYTES + length:
                return
            payload = bytes(self._buffer[HEAD_BYTES : HEAD_BYTES + length])
            del self._buffer[: HEAD_BYTES + length]
            last = bool(second >> 24 & FIN)
            if first >> 31:
                yield self._control(first, payload, last=last)
            else:
                yield Data(first & STREAM_MASK, payload, last)

    def _control(self, first: int, payload: bytes, *, last: bool) -> Control:
        version, type_ = first >> 16 & 0x7FFF, first & 0xFFFF
        if version != VERSION:
            raise FrameError(f"SPDY version {version}, not {VERSION}")
        if type_ in {SETTINGS, PING, GOAWAY}:
            return Control(type_, 0, payload)
        try:
            stream = struct.unpack_from(">I", payload)[0] & STREAM_MASK
            skipped = {SYN_STREAM: 10, SYN_REPLY: 4, HEADERS: 4}.get(type_)
            headers = {} if skipped is None else self._headers(payload[skipped:])
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise FrameError(f"control frame of type {type_}: {error}") from error
        return Control(type_, stream, payload, headers, last)

    def _headers(self, block: bytes) -> dict[str, str]:
        plain = self._zlib.decompress(block)
        count = struct.unpack_from(">I", plain)[0]
        if count > HEADER_COUNT_MAX:
            raise FrameError(f"{count} headers in one block")
        position = 4
        texts: list[str] = []
        for _ in range(count * 2):
            length = struct.unpack_from(">I", plain, position)[0]
            position += 4
            texts.append(plain[position : position + length].decode())
            position += length
        return dict(zip(texts[::2], texts[1::2], strict=True))
