"""
Bootstrap signer: what ``cluster-info`` says is signed with every bootstrap token that may sign.

Reads   Secret (bootstrap tokens of kube-system), ConfigMap (kube-public/cluster-info)
Writes  ConfigMap (a signature for each token)
Again   when the first token expires

Who wants to join a cluster knows a token, and by its signature that what is said there comes from
the cluster.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery.kinds import bootstraptokens
from pilothouse.services.machinery.kinds.bootstraptokens import INFO
from pilothouse.services.machinery.kinds.identity import ConfigMap, Secret
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

KUBECONFIG = "kubeconfig"
SIGNATURE_PREFIX = "jws-kubeconfig-"


@dataclass(frozen=True, slots=True)
class Plan:
    """``signatures`` are what changes in the ConfigMap; None takes one out."""

    signatures: Mapping[str, str | None]
    again_after: float | None = None


def plan(tokens: Iterable[Secret], info: ConfigMap, now: float) -> Plan:
    """``tokens`` are all of them. Where nothing is said, nothing is signed."""
    if KUBECONFIG not in info.data:
        return Plan({})
    text = info.data[KUBECONFIG]
    wanted: dict[str, str] = {}
    lefts = []
    for token in sorted(tokens, key=lambda token: token.metadata.name):
        signs = bootstraptokens.signing(token)
        if signs is None or bootstraptokens.is_over(token, now):
            continue
        name, secret = signs
        wanted[f"{SIGNATURE_PREFIX}{name}"] = signature(text, name, secret)
        left = bootstraptokens.seconds_left(token, now)
        if left is not None:
            lefts.append(left)
    gone = [name for name in info.data if name.startswith(SIGNATURE_PREFIX) and name not in wanted]
    changed = {name: said for name, said in wanted.items() if info.data.get(name) != said}
    return Plan({**dict.fromkeys(gone), **changed}, min(lefts, default=None))


def signature(text: str, name: str, secret: str) -> str:
    """A detached JSON Web Signature of ``text``: its middle part, the text, is left out."""
    head = _encoded(json.dumps({"alg": "HS256", "kid": name}, separators=(",", ":")).encode())
    signed = f"{head}.{_encoded(text.encode())}".encode()
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return f"{head}..{_encoded(digest)}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class Cluster(Protocol):
    """What this controller asks of the API."""

    def tokens(self) -> Iterable[Secret]: ...
    def info(self) -> ConfigMap | None: ...
    def now(self) -> float: ...
    async def write(self, info: ConfigMap, signatures: Mapping[str, str | None]) -> None: ...


class BootstrapSignerController:
    """Looks at all tokens at a time: its only key is that of the ConfigMap."""

    name = "bootstrapsigner"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        info = self._cluster.info()
        if key != INFO or info is None:
            return DONE
        todo = plan(self._cluster.tokens(), info, self._cluster.now())
        if todo.signatures:
            await self._cluster.write(info, todo.signatures)
        return Result(again_after=todo.again_after)
