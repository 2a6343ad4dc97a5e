"""
Token: fill Secrets of type ``kubernetes.io/service-account-token`` for the account they name.

Reads   Secret (of that type), ServiceAccount
Writes  Secret (data, the account's uid; delete when there is no such account),
        ServiceAccount (no longer names a Secret that is gone)
Again   never: whatever matters is a change

Pods do not need these: their kubelet asks for a short-lived token of its own.
"""

import base64
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from pilothouse.services.machinery.kinds import identity
from pilothouse.services.machinery.kinds.identity import Secret, ServiceAccount
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

TOKEN_KEY = "token"  # noqa: S105 - the name of a field
NAMESPACE_KEY = "namespace"


class Act(Enum):
    """What is to be done about the Secret."""

    NOTHING = "nothing"
    FILL = "fill"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Plan:
    """``data`` (base64) is what besides the token shall be in it; ``sign`` asks for a token."""

    act: Act
    sign: bool
    data: dict[str, str]


def plan(secret: Secret, account: ServiceAccount | None, certificate: str) -> Plan:
    """``account`` is the one that the Secret names, if it is there; ``certificate`` is PEM.

    Without a certificate the Secret says nothing about whom to trust.
    """
    metadata = secret.metadata
    bound = metadata.annotations.get(identity.ACCOUNT_UID)
    if metadata.deleting or not metadata.annotations.get(identity.ACCOUNT_NAME):
        return Plan(Act.NOTHING, sign=False, data={})
    if account is None or (bound and bound != account.metadata.uid):
        return Plan(Act.DELETE, sign=False, data={})
    wanted = {NAMESPACE_KEY: _base64(metadata.namespace)}
    if certificate:
        wanted[identity.ROOT_CA_KEY] = _base64(certificate)
    sign = not secret.data.get(TOKEN_KEY)
    full = not sign and bool(bound) and wanted.items() <= secret.data.items()
    return Plan(Act.NOTHING if full else Act.FILL, sign, wanted)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Cluster(Protocol):
    """What this controller asks of the API; keys are of Secrets."""

    def secret(self, key: Key) -> Secret | None: ...
    def certificate(self) -> str: ...
    async def account(self, secret: Secret) -> ServiceAccount | None:
        """The one that it names; that there is none, or another, is never told from a cache."""

    async def fill(self, secret: Secret, account: ServiceAccount, todo: Plan) -> None: ...
    async def delete(self, secret: Secret) -> None: ...
    async def unname(self, key: Key) -> None:
        """The Secret is gone: its account, if it names it, does so no longer."""


class TokenController:
    """Fills each token Secret, and deletes those whose account is gone."""

    name = "serviceaccount-token"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        secret = self._cluster.secret(key)
        if secret is None:
            await self._cluster.unname(key)
            return DONE
        if secret.metadata.deleting:
            return DONE
        account = await self._cluster.account(secret)
        todo = plan(secret, account, self._cluster.certificate())
        if todo.act is Act.DELETE:
            await self._cluster.delete(secret)
        elif todo.act is Act.FILL and account is not None:
            await self._cluster.fill(secret, account, todo)
        return DONE
