"""
Bootstrap tokens: those whose time is over go, and those that may sign the cluster's address.

Reads   Secret (bootstrap tokens of kube-system), ConfigMap (kube-public/cluster-info)
Writes  Secret (delete), ConfigMap (a signature for each token)
Again   when the first token expires

Who wants to join a cluster knows a token, and by its signature that what ``cluster-info`` says
comes from the cluster.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds.identity import ConfigMap, Secret
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

TYPE = "bootstrap.kubernetes.io/token"
NAMESPACE = "kube-system"
NAME_PREFIX = "bootstrap-token-"
INFO = Key("kube-public", "cluster-info")
KUBECONFIG = "kubeconfig"
SIGNATURE_PREFIX = "jws-kubeconfig-"


@dataclass(frozen=True, slots=True)
class Plan:
    """``signatures`` are what changes in the ConfigMap; None takes one out."""

    delete: tuple[Secret, ...]
    signatures: Mapping[str, str | None]
    again_after: float | None


def plan(tokens: Iterable[Secret], info: ConfigMap | None, now: float) -> Plan:
    """``tokens`` are all of them."""
    delete, lefts = [], []
    wanted: dict[str, str] = {}
    text = info.data.get(KUBECONFIG, "") if info is not None else ""
    for token in sorted(tokens, key=lambda token: token.metadata.name):
        left = seconds_left(token, now)
        if left is not None and left <= 0:
            delete.append(token)
            continue
        if left is not None:
            lefts.append(left)
        name, secret = _value(token, "token-id"), _value(token, "token-secret")
        signs = _value(token, "usage-bootstrap-signing") == "true"
        if text and signs and secret and token.metadata.name == f"{NAME_PREFIX}{name}":
            wanted[f"{SIGNATURE_PREFIX}{name}"] = signature(text, name, secret)
    present = info.data if info is not None else {}
    gone = [name for name in present if name.startswith(SIGNATURE_PREFIX) and name not in wanted]
    changed = {name: said for name, said in wanted.items() if present.get(name) != said}
    return Plan(tuple(delete), {**dict.fromkeys(gone), **changed}, min(lefts, default=None))


def seconds_left(token: Secret, now: float) -> float | None:
    """Until it expires; None for never. A time that can not be read is over."""
    if "expiration" not in token.data:
        return None
    try:
        return timestamps.parse(_value(token, "expiration")) - now
    except ValueError:
        return 0.0


def signature(text: str, name: str, secret: str) -> str:
    """A detached JSON Web Signature of ``text``: its middle part, the text, is left out."""
    head = _encoded(json.dumps({"alg": "HS256", "kid": name}, separators=(",", ":")).encode())
    signed = f"{head}.{_encoded(text.encode())}".encode()
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return f"{head}..{_encoded(digest)}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _value(token: Secret, name: str) -> str:
    try:
        return base64.b64decode(token.data.get(name, "")).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


class Cluster(Protocol):
    """What this controller asks of the API."""

    def tokens(self) -> Iterable[Secret]: ...
    def info(self) -> ConfigMap | None: ...
    def now(self) -> float: ...
    async def delete(self, token: Secret) -> None: ...
    async def write(self, signatures: Mapping[str, str | None]) -> None: ...


class BootstrapTokenController:
    """Looks at all tokens at a time: its only key is that of the ConfigMap."""

    name = "tokencleaner"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        if key != INFO:
            return DONE
        todo = plan(self._cluster.tokens(), self._cluster.info(), self._cluster.now())
        for token in todo.delete:
            await self._cluster.delete(token)
        if todo.signatures:
            await self._cluster.write(todo.signatures)
        return Result(again_after=todo.again_after)
