"""
ServiceAccount: every namespace has an account named ``default``.

Reads   Namespace, ServiceAccount (those named ``default``)
Writes  ServiceAccount (create)
Again   never: whatever matters is a change
"""

from typing import Protocol

from pilothouse.services.machinery.kinds import namespaces
from pilothouse.services.machinery.kinds.namespaces import Namespace
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result


def plan(namespace: Namespace, *, there: bool) -> bool:
    """Whether the account is to be created."""
    return namespaces.is_active(namespace) and not there


class Cluster(Protocol):
    """What this controller asks of the API; keys are of namespaces."""

    def namespace(self, key: Key) -> Namespace | None: ...
    def has_account(self, namespace: Namespace) -> bool: ...
    async def create_account(self, namespace: Namespace) -> None:
        """Create it; it being there already is well."""


class ServiceAccountController:
    """Gives each namespace its account."""

    name = "serviceaccount"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        namespace = self._cluster.namespace(key)
        if namespace is None:
            return DONE
        if plan(namespace, there=self._cluster.has_account(namespace)):
            await self._cluster.create_account(namespace)
        return DONE
