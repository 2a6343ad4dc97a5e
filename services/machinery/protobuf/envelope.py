"""The envelope around every object: four magic bytes, then ``runtime.Unknown``."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pilothouse.services.machinery.errors import BadRequest, UnsupportedMediaType
from pilothouse.services.machinery.protobuf.decoder import Decoders
from pilothouse.services.machinery.protobuf.encoder import Encoders
from pilothouse.services.machinery.protobuf.messages import published
from pilothouse.services.machinery.protobuf.wire import (
    LENGTH,
    Limits,
    Malformed,
    delimited,
    tag,
    varint,
)

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"
FRAME_HEAD_BYTES = 4
_ENVELOPE = "runtime.Unknown"


@lru_cache(maxsize=1)
def _decoders() -> Decoders:
    return Decoders(published())


@lru_cache(maxsize=1)
def _encoders() -> Encoders:
    return Encoders(published())


def decode(body: bytes) -> dict[str, Any]:
    """The object in an envelope, with ``apiVersion`` and ``kind``, as JSON would have it.

    Raises:
        BadRequest: it is malformed, too deep, too large when unpacked, or of no known kind.
        UnsupportedMediaType: its API version is not spoken in protobuf (custom resources).
    """
    if not body.startswith(MAGIC):
        raise BadRequest("the body of the request does not appear to be a protobuf message")
    try:
        envelope = _decoders().of(_ENVELOPE)(body, len(MAGIC), len(body), Limits())
        named = envelope.get("typeMeta", {})
        api_version, kind = named.get("apiVersion", ""), named.get("kind", "")
        message = _message(api_version, kind)
        raw = _raw(envelope)
        values = _decoders().of(message)(raw, 0, len(raw), Limits())
    except IndexError:
        raise _malformed("unexpected EOF") from None
    except UnicodeDecodeError:
        raise _malformed("a text is not UTF-8") from None
    except Malformed as error:
        raise _malformed(str(error)) from None
    return {"kind": kind, "apiVersion": api_version, **values}


def _malformed(why: str) -> BadRequest:
    return BadRequest(f"the body of the request is not a valid protobuf message: {why}")


def _message(api_version: str, kind: str) -> str:
    if not kind or not api_version:
        raise BadRequest("the protobuf body of the request does not say of which kind it is")
    try:
        return published().of_kind(api_version, kind)
    except KeyError as error:
        if error.args[0] == kind:
            told = f'no kind "{kind}" is registered for version "{api_version}"'
            raise BadRequest(told) from None
    raise UnsupportedMediaType(
        f"objects of {api_version} are not spoken in {MEDIA_TYPE} - accepted media types include: "
        "application/json, application/yaml"
    )


def _raw(envelope: dict[str, Any]) -> bytes:
    if envelope.get("contentEncoding"):
        raise BadRequest("the protobuf body of the request is encoded in a way that is not known")
    if envelope.get("contentType", "") not in ("", MEDIA_TYPE):
        raise BadRequest("the protobuf envelope of the request holds something else than protobuf")
    raw: bytes = envelope.get("raw", b"")
    return raw


def watch_frame(type_: str, content: bytes) -> bytes:
    """An event of a watch: four octets of length, then ``WatchEvent`` without an envelope.

    ``content`` is the event's object, in its envelope.
    """
    event = delimited(1, type_.encode()) + delimited(2, delimited(1, content))
    return len(event).to_bytes(FRAME_HEAD_BYTES, "big") + event


def encode(document: dict[str, Any]) -> bytes:
    """A document with ``apiVersion`` and ``kind``, in its envelope.

    Raises:
        KeyError: its kind is not spoken in protobuf.
        ValueError, TypeError, AttributeError: a value is of another type than its field.
    """
    return wrap(document["apiVersion"], document["kind"], framed(document))


def framed(document: dict[str, Any]) -> bytes:
    """The same without the envelope, with the tag that it has in an envelope and in a list."""
    message = published().of_kind(document["apiVersion"], document["kind"])
    return delimited(_CONTENT, _encoders().of(message)(document))


def wrap(api_version: str, kind: str, framed: bytes) -> bytes:
    """A framed message in its envelope."""
    return _head(api_version, kind) + framed + _TAIL


def wrap_list(
    api_version: str, kind: str, metadata: dict[str, Any], items: Sequence[bytes]
) -> list[bytes]:
    """A list of framed messages in its envelope, in parts that follow each other.

    Every list has its metadata as its first field, and its items as its second.
    """
    metadata_field = delimited(1, _encoders().of("meta.v1.ListMeta")(metadata))
    size = len(metadata_field) + sum(map(len, items))
    head = _head(api_version, kind) + varint(tag(_CONTENT, LENGTH)) + varint(size)
    return [head + metadata_field, *items, _TAIL]


def _head(api_version: str, kind: str) -> bytes:
    named = delimited(1, api_version.encode()) + delimited(2, kind.encode())
    return MAGIC + delimited(1, named)


_CONTENT = 2
_TAIL = delimited(3, b"") + delimited(4, b"")
