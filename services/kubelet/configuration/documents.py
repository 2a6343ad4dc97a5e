"""From the text of files, and flags, to one KubeletConfiguration. Pure.

Strict: a field that is not known, at any depth, is an error that names its path. A file, what
drop-in files change of it (in the order of their names, by JSON merge patch), and flags above all.
"""

import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args, get_type_hints

import msgspec
import yaml

from pilothouse.services.kubelet.configuration.fields import (
    API_VERSION,
    EVICTION_HARD,
    KIND,
    NULLABLE,
    Duration,
    KubeletConfiguration,
    Section,
)
from pilothouse.services.machinery import durations

_HEAD = ("apiVersion", "kind")
_ZEROS = (0, "", "0s", "0")


def parse(text: str, where: str) -> dict[str, Any]:
    """One file's fields. ValueError, beginning with ``where``, when it is none or says too much."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{where}: {error}") from None
    found = found if isinstance(found, dict) else {}
    group, kind = found.get("apiVersion", ""), found.get("kind", "")
    if (group, kind) != (API_VERSION, KIND):
        raise ValueError(f'{where}: no kind "{kind}" is registered for version "{group}"')
    said = {name: value for name, value in found.items() if name not in _HEAD}
    unknown = list(_unknown(said, KubeletConfiguration, ""))
    if unknown:
        told = ", ".join(f'unknown field "{path}"' for path in unknown)
        raise ValueError(f"{where}: strict decoding error: {told}")
    return said


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` as ``change`` would have it (RFC 7396)."""
    merged = dict(base)
    for name, value in change.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            before = merged.get(name)
            merged[name] = merge(before if isinstance(before, dict) else {}, value)
        else:
            merged[name] = value
    return merged


def decode(said: Mapping[str, Any], flags: Mapping[str, Any]) -> KubeletConfiguration:
    """The value, with defaults; ``flags`` replace whole fields, by their path (``a.b``).

    ValueError when a value is of the wrong type.
    """
    body = _written(said, NULLABLE)
    for path, value in flags.items():
        *sections, name = path.split(".")
        at = body
        for section in sections:
            at[section] = dict(at.get(section, {}))
            at = at[section]
        at[name] = value
    _derive(body)
    try:
        return msgspec.convert(body, KubeletConfiguration, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def encode(value: KubeletConfiguration) -> dict[str, Any]:
    """As JSON would have it, what has no value left out."""
    body: dict[str, Any] = msgspec.to_builtins(value, enc_hook=_encode)
    return {name: item for name, item in body.items() if item is not None}


def _written(said: Mapping[str, Any], nullable: Iterable[str] = ()) -> dict[str, Any]:
    """Without what is as good as not said: zeros, where zero means the default."""
    kept: dict[str, Any] = {}
    for name, value in said.items():
        if value is None or (name not in nullable and value is not False and value in _ZEROS):
            continue
        kept[name] = _written(value) if name in _SECTIONS else value
    return kept


def _derive(body: dict[str, Any]) -> None:
    """Defaults that hang on other fields."""
    if "nodeStatusUpdateFrequency" in body:
        body.setdefault("nodeStatusReportFrequency", body["nodeStatusUpdateFrequency"])
    if (body.get("maxParallelImagePulls") or 0) > 1:
        body.setdefault("serializeImagePulls", False)
    if body.get("mergeDefaultEvictionSettings"):
        body["evictionHard"] = EVICTION_HARD | body.get("evictionHard", {})
    if (body.get("podPidsLimit") or 0) < 0:
        del body["podPidsLimit"]


def _unknown(said: Any, type_: Any, path: str) -> Iterator[str]:
    """Paths of what ``type_`` has no field for."""
    inner = _section_in(type_)
    if inner is None:
        return
    if isinstance(said, list):
        for index, item in enumerate(said):
            yield from _unknown(item, inner, f"{path}[{index}]")
    if not isinstance(said, dict):
        return
    hints = get_type_hints(inner)
    known = {item.encode_name: hints[item.name] for item in msgspec.structs.fields(inner)}
    for name, value in said.items():
        below = f"{path}.{name}" if path else str(name)
        if name in known:
            yield from _unknown(value, known[name], below)
        else:
            yield below


def _section_in(type_: Any) -> type[Section] | None:
    """The section that ``type_`` is, may be, or is a list of."""
    if isinstance(type_, type) and not isinstance(type_, types.GenericAlias):
        return type_ if issubclass(type_, Section) else None
    found = (_section_in(item) for item in get_args(type_))
    return next((item for item in found if item is not None), None)


def _decode(type_: type, value: Any) -> Any:
    if type_ is not Duration:
        raise TypeError(f"nothing is known of {type_}")
    if not isinstance(value, str):
        raise msgspec.ValidationError("Expected `str` (a duration)")
    return Duration(durations.parse(value))


def _encode(value: Any) -> str:
    if not isinstance(value, Duration):
        raise TypeError(f"nothing is known of {type(value)}")
    return durations.render(float(value))


_SECTIONS = frozenset(
    item.encode_name
    for owner in Section.__subclasses__()
    for item in msgspec.structs.fields(owner)
    if _section_in(item.type) is not None and not str(item.type).startswith("tuple")
)
