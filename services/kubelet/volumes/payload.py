"""The files of volumes made of API objects: names, bytes, modes. Pure."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pilothouse.services.kubelet.pod.downward import Surroundings, field_text, resource_text
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.volumes.sources import (
    CertificateSource,
    DownwardSource,
    KeyToPath,
    Projection,
    TokenSource,
)
from pilothouse.services.machinery.errors import BadRequest, NotFound

PRIVATE = 0o600
"""Of what proves who the pod is, where the pod says as whom it runs."""


@dataclass(frozen=True, slots=True)
class File:
    """Content, permission bits, and its owner where that is not root."""

    content: bytes
    mode: int
    user: int | None = None


Files = dict[str, File]


@dataclass(frozen=True, slots=True)
class Credential:
    """A private key and the certificate chain for it, both PEM."""

    key: bytes
    chain: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """What was fetched for one volume; absent objects are not in it.

    ``bundles`` and ``credentials`` are by the place of their part in the volume.
    """

    config_maps: Mapping[str, Mapping[str, bytes]]
    secrets: Mapping[str, Mapping[str, bytes]]
    tokens: Mapping[TokenSource, str]
    bundles: Mapping[int, bytes] = field(default_factory=dict)
    credentials: Mapping[int, Credential] = field(default_factory=dict)


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
    for place, part in enumerate(parts):
        if part.config_map is not None:
            source = part.config_map
            kept = found.config_maps.get(source.name)
            what = f'configmap "{source.name}"', "config"
            files |= _keys(what, kept, source.items, mode, optional=source.optional)
        elif part.secret is not None:
            secret = part.secret
            name = secret.secret_name or secret.name
            kept = found.secrets.get(name)
            what = f'secret "{name}"', "secret"
            files |= _keys(what, kept, secret.items, mode, optional=secret.optional)
        elif part.downward_api is not None:
            files |= _downward(pod, part.downward_api, mode, around)
        else:
            files |= _identity(pod, part, place, mode, found)
    return files


def owner_of(pod: Pod) -> int | None:
    """The user as whom every container of the pod runs; None when they differ or do not say."""
    spec = pod.spec
    every = (*spec.init_containers, *spec.containers, *spec.ephemeral_containers)
    shared = spec.security_context.run_as_user
    own = (item.security_context.run_as_user for item in every)
    users = {shared if user is None else user for user in own}
    return users.pop() if len(users) == 1 else None


def _identity(pod: Pod, part: Projection, place: int, mode: int, found: Found) -> Files:
    """Tokens, bundles of trust and certificates: private to whom the pod runs as."""
    user = owner_of(pod)
    if user is not None or pod.spec.security_context.fs_group is not None:
        mode = PRIVATE
    contents: dict[str, bytes] = {}
    if part.service_account_token is not None:
        token = part.service_account_token
        contents[token.path] = found.tokens[token].encode()
    elif part.cluster_trust_bundle is not None:
        contents[part.cluster_trust_bundle.path] = found.bundles[place]
    elif part.pod_certificate is not None:
        contents = _certificate(part.pod_certificate, found.credentials[place])
    return {_safe(path): File(content, mode, user) for path, content in contents.items()}


def _certificate(source: CertificateSource, credential: Credential) -> dict[str, bytes]:
    files = {
        source.credential_bundle_path: credential.key + credential.chain,
        source.key_path: credential.key,
        source.certificate_chain_path: credential.chain,
    }
    return {path: content for path, content in files.items() if path}


def _keys(
    what: tuple[str, str],
    kept: Mapping[str, bytes] | None,
    items: tuple[KeyToPath, ...],
    mode: int,
    *,
    optional: bool,
) -> Files:
    if kept is None:
        if optional:
            return {}
        raise NotFound(f"{what[0]} not found")
    if not items:
        return {_safe(key): File(value, mode) for key, value in kept.items()}
    files: Files = {}
    for item in items:
        if item.key in kept:
            item_mode = mode if item.mode is None else item.mode
            files[_safe(item.path)] = File(kept[item.key], item_mode)
        elif not optional:
            raise NotFound(f"references non-existent {what[1]} key: {item.key}")
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
