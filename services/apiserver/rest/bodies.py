"""Bodies of requests to JSON values. Pure."""

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import msgspec

from pilothouse.services.apiserver.requests import FieldValidation
from pilothouse.services.apiserver.rest.limits import DEPTH_MAX, DUPLICATES_TOLD_MAX
from pilothouse.services.apiserver.rest.negotiation import Encoding
from pilothouse.services.machinery.errors import BadRequest
from pilothouse.services.machinery.protobuf import envelope

BODY_BYTES_MAX = 3 * 1024 * 1024


@dataclass(slots=True)
class Decoded:
    """A body's value, and what to say of keys that were given twice (the last one counts)."""

    value: Any
    duplicates: list[str] = field(default_factory=list)


class Duplicated(BadRequest):
    """Keys were given twice and must not be; ``decoded`` is what the body says all the same."""

    def __init__(self, decoded: Decoded) -> None:
        super().__init__(f"strict decoding error: {', '.join(decoded.duplicates)}")
        self.decoded = decoded


def decode(body: bytes, encoding: Encoding, validation: FieldValidation) -> Decoded:
    """The value of a body; duplicate keys are only looked for where ``validation`` asks.

    Raises:
        BadRequest: it is empty, malformed, too deep, or, under Strict, names a key twice.
    """
    if not body.strip():
        raise BadRequest("the body of the request is empty")
    decoded = _read(body, encoding, validation)
    if body.count(b"{") + body.count(b"[") > DEPTH_MAX or encoding == "yaml":
        _refuse_excess(decoded.value)
    if decoded.duplicates and validation == "Strict":
        raise Duplicated(decoded)
    return decoded


def decode_object(body: bytes, encoding: Encoding, validation: FieldValidation) -> Decoded:
    """As :func:`decode`, for bodies that must be one object."""
    decoded = decode(body, encoding, validation)
    if not isinstance(decoded.value, dict):
        raise BadRequest("the body of the request must be one object")
    return decoded


# An escaped backslash, a pair of surrogates, or half of one.
_ESCAPES = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_PAIR_BYTES = 12
_SHOWN_MAX = 32
_FIRST_KEY_MAX = 256
_encode = msgspec.json.Encoder().encode


def _paired(body: bytes) -> bytes:
    """The body with U+FFFD for half characters, as Go reads them: no text may hold those."""
    if b"\\ud" not in body and b"\\uD" not in body:
        return body
    return _ESCAPES.sub(_whole, body)


def _whole(match: re.Match[bytes]) -> bytes:
    found = match[0]
    return found if len(found) in (2, _PAIR_BYTES) else b"\\ufffd"


def _read(body: bytes, encoding: Encoding, validation: FieldValidation) -> Decoded:
    if encoding == "protobuf":
        return Decoded(envelope.decode(body))
    if encoding == "yaml":
        # Its parser is loaded only where it is used.
        from pilothouse.services.apiserver.rest.yaml_bodies import read  # noqa: PLC0415 - as said

        return Decoded(*read(body))
    return _json(body, validation)


def _json(body: bytes, validation: FieldValidation) -> Decoded:
    body = _paired(body)
    if validation == "Ignore":
        try:
            return Decoded(msgspec.json.decode(body))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise BadRequest(f"the body of the request is not valid JSON: {error}") from None
    canonical = _canonical(body)
    if canonical is not None:
        return Decoded(canonical)
    duplicates: dict[int, tuple[Any, list[str]]] = {}
    try:
        text = body.decode()
        value = json.loads(
            text,
            object_pairs_hook=_noticing(duplicates),
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except RecursionError:
        raise BadRequest(f"the body is nested deeper than {DEPTH_MAX} levels") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body of the request is not valid JSON: {error}") from None
    told: list[str] = []
    if duplicates:
        # Before anything walks it.
        _refuse_excess(value)
        _locate(value, "", duplicates, told)
    return Decoded(value, told[:DUPLICATES_TOLD_MAX])


def _canonical(body: bytes) -> dict[str, Any] | None:
    """The object of a body that is just as our encoder writes it: no key stands in it twice.

    So do programs send theirs, and this is several times quicker than to look at every key.
    """
    first = body.find(b'":', 0, _FIRST_KEY_MAX)
    if first < 0 or body[first + 2 : first + 3].isspace():
        return None
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return value if isinstance(value, dict) and _encode(value) == body.rstrip(b"\n") else None


def _locate(
    value: Any, path: str, duplicates: dict[int, tuple[Any, list[str]]], told: list[str]
) -> None:
    """Say of each key that was given twice where that was."""
    if isinstance(value, dict):
        before = f"{path}." if path else ""
        if id(value) in duplicates:
            told += [f'duplicate field "{before}{key}"' for key in duplicates[id(value)][1]]
        for key, item in value.items():
            _locate(item, f"{before}{key}", duplicates, told)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _locate(item, f"{path}[{index}]", duplicates, told)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:_SHOWN_MAX]} is out of range")
    return number


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _noticing(
    duplicates: dict[int, tuple[Any, list[str]]],
) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def hook(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            # Kept beside, so that no other object gets its identity.
            duplicates[id(value)] = (value, _repeated(key for key, _ in pairs))
        return value

    return hook


def _repeated(keys: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    repeated = []
    for key in keys:
        if key in seen:
            repeated.append(key)
        seen.add(key)
    return repeated


def _refuse_excess(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH_MAX):
        if any(isinstance(each, float) and not math.isfinite(each) for each in level):
            raise BadRequest("error converting YAML to JSON: json: unsupported value: Inf or NaN")
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return
    raise BadRequest(f"the body is nested deeper than {DEPTH_MAX} levels")
