"""The files of volumes made of API objects: names, bytes, modes. Pure."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilothouse.services.kubelet.pod.downward import Surroundings, field_text, resource_text
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.volumes.sources import (
    DownwardSource,
    KeyToPath,
    Projection,
    TokenSource,
)
from pilothouse.services.machinery.errors import BadRequest, NotFound


@dataclass(frozen=True, slots=True)
class File:
    """Content and permission bits."""

    content: bytes
    mode: int


Files = dict[str, File]


@dataclass(frozen=True, slots=True)
class Found:
    """What was fetched for one volume; absent objects are not in it."""

    config_maps: Mapping[str, Mapping[str, bytes]]
    secrets: Mapping[str, Mapping[str, bytes]]
    tokens: Mapping[TokenSource, str]


def config_map_files(body: dict[str, Any]) -> dict[str, bytes]:
    """Keys of a ConfigMap's ``data`` and ``binaryData``."""
    files = {key: str(value).encode() for key, value in (body.get("data") or {}).items()}
    for key, value in (body.get("binaryData") or {}).items():
        files[key] = base64.b64decode(value)
    return files


def secret_files(body: dict[str, Any]) -> dict[str, bytes]:
    """Keys of a Secret's ``data``."""
    return {key: base64.b64decode(value) for key, value in (body.get("data") or {}).items()}


def build(
    pod: Pod, parts: tuple[Projection, ...], mode: int, found: Found, around: Surroundings
) -> Files:
    """All files of a volume, later parts winning; NotFound names what must be there and is not."""
    files: Files = {}
    for part in parts:
        if part.config_map is not None:
            source = part.config_map
            kept = found.config_maps.get(source.name)
            what = f'configmap "{source.name}"'
            files |= _keys(what, kept, source.items, mode, optional=source.optional)
        elif part.secret is not None:
            secret = part.secret
            name = secret.secret_name or secret.name
            kept = found.secrets.get(name)
            what = f'secret "{name}"'
            files |= _keys(what, kept, secret.items, mode, optional=secret.optional)
        elif part.downward_api is not None:
            files |= _downward(pod, part.downward_api, mode, around)
        elif part.service_account_token is not None:
            token = part.service_account_token
            files[_safe(token.path)] = File(found.tokens[token].encode(), 0o600 | (mode & 0o044))
    return files


def _keys(
    what: str,
    kept: Mapping[str, bytes] | None,
    items: tuple[KeyToPath, ...],
    mode: int,
    *,
    optional: bool,
) -> Files:
    if kept is None:
        if optional:
            return {}
        raise NotFound(f"{what} not found")
    if not items:
        return {_safe(key): File(value, mode) for key, value in kept.items()}
    files: Files = {}
    for item in items:
        if item.key in kept:
            item_mode = mode if item.mode is None else item.mode
            files[_safe(item.path)] = File(kept[item.key], item_mode)
        elif not optional:
            raise NotFound(f"{what} references non-existent key: {item.key}")
    return files


def _downward(pod: Pod, source: DownwardSource, mode: int, around: Surroundings) -> Files:
    files: Files = {}
    for item in source.items:
        text = ""
        if item.field_ref is not None:
            text = field_text(pod, item.field_ref.field_path, around)
        elif item.resource_field_ref is not None:
            text = resource_text(pod, item.resource_field_ref, "", around)
        item_mode = mode if item.mode is None else item.mode
        files[_safe(item.path)] = File(text.encode(), item_mode)
    return files


def _safe(path: str) -> str:
    """The path, if it stays inside the volume."""
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or not path or parts[0].startswith(".."):
        raise BadRequest(f"invalid path {path!r}: must stay inside the volume")
    return path
