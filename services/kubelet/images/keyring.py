"""Which credentials of pull secrets fit an image.

A key names a registry, perhaps with a path below it; ``*`` in the host stands for any part of one
label. The most specific keys come first.
"""

import base64
import binascii
import fnmatch
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pilothouse.services.kubelet.images.access import Secret
from pilothouse.services.kubelet.ports import Credentials, PullSecret
from pilothouse.services.machinery.images import DEFAULT_DOMAIN, OLD_DOMAIN

CONFIG_JSON = ".dockerconfigjson"
CONFIG = ".dockercfg"
VERSIONED = ("/v1/", "/v2/")


class InvalidSecret(ValueError):
    """A pull secret that can not be read; the message says why."""


class Entry(NamedTuple):
    """Credentials, and the Secret that they are in."""

    credentials: Credentials
    secret: Secret


class Keyring:
    """Credentials by registry."""

    def __init__(self, secrets: Iterable[PullSecret]) -> None:
        """From pull secrets; InvalidSecret when one makes no sense."""
        self._keys: dict[str, list[Entry]] = {}
        for secret in secrets:
            for location, body in _entries(secret.data).items():
                who = _credentials(location, body)
                pair = f"{who.username}:{who.password}".encode()
                digest = hashlib.sha256(pair).hexdigest()
                source = Secret(secret.uid, secret.namespace, secret.name, digest)
                self._keys.setdefault(_key(location), []).append(Entry(who, source))

    def lookup(self, repository: str) -> list[Entry]:
        """For ``docker.io/library/busybox``, in the order to try them."""
        ordered = sorted(self._keys, reverse=True)
        found = [one for key in ordered if matches(key, repository) for one in self._keys[key]]
        if not found and repository.startswith(f"{DEFAULT_DOMAIN}/"):
            found = self._keys.get(OLD_DOMAIN, [])
        return found


def matches(key: str, repository: str) -> bool:
    """Same port, same number of labels, each of them fitting, and a path that begins alike."""
    try:
        ours, theirs = urlsplit(f"//{key}"), urlsplit(f"//{repository}")
    except ValueError:
        return False
    host, _, port = ours.netloc.partition(":")
    other_host, _, other_port = theirs.netloc.partition(":")
    labels, other_labels = host.split("."), other_host.split(".")
    return (
        port == other_port
        and len(labels) == len(other_labels)
        and theirs.path.startswith(ours.path)
        and all(
            fnmatch.fnmatchcase(other, label)
            for label, other in zip(labels, other_labels, strict=True)
        )
    )


def _entries(data: Mapping[str, bytes]) -> dict[str, Any]:
    """Registries of one secret, in the newer form or in the older."""
    content = data.get(CONFIG_JSON) or data.get(CONFIG)
    if not content:
        return {}
    try:
        body = json.loads(content)
        found = (body.get("auths") or {}) if data.get(CONFIG_JSON) else body
        return dict(found)
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidSecret(f"pull secret: {error}") from error


def _key(location: str) -> str:
    try:
        parts = urlsplit(location if "://" in location else f"https://{location}")
    except ValueError as error:
        raise InvalidSecret(f"pull secret: {location}: {error}") from error
    path = parts.path
    if path.startswith(VERSIONED):
        path = path[3:]
    return parts.netloc + path if path.strip("/") else parts.netloc


def _credentials(location: str, entry: Any) -> Credentials:
    if not isinstance(entry, dict):
        raise InvalidSecret(f"pull secret: {location}: must be an object")
    encoded = entry.get("auth") or ""
    if not encoded:
        return Credentials(str(entry.get("username") or ""), str(entry.get("password") or ""))
    try:
        text = str(encoded).strip()
        plain = base64.b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidSecret(f"pull secret: {location}: {error}") from error
    user, colon, password = plain.partition(":")
    if not colon:
        raise InvalidSecret(
            "unable to parse auth field, must be formatted as base64(username:password)"
        )
    return Credentials(user, password)
