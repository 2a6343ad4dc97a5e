"""
Root CA: every namespace has a ConfigMap ``kube-root-ca.crt`` by which pods know the API server.

Reads   Namespace, ConfigMap (those of that name)
Writes  ConfigMap (create, data, what it is for)
Again   never: whatever matters is a change
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from pilothouse.services.machinery.kinds import identity, namespaces
from pilothouse.services.machinery.kinds.identity import ConfigMap
from pilothouse.services.machinery.kinds.namespaces import Namespace
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result


class Write(Enum):
    """What is to be done about the ConfigMap."""

    NOTHING = "nothing"
    CREATE = "create"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class Plan:
    write: Write
    data: dict[str, str]


def plan(namespace: Namespace, present: ConfigMap | None, certificate: str) -> Plan:
    """``certificate`` is the authority's, PEM."""
    data = {identity.ROOT_CA_KEY: certificate}
    if not namespaces.is_active(namespace):
        return Plan(Write.NOTHING, data)
    if present is None:
        return Plan(Write.CREATE, data)
    kept = present.data == data and present.metadata.annotations.get(identity.DESCRIPTION)
    return Plan(Write.NOTHING if kept else Write.RESTORE, data)


class Cluster(Protocol):
    """What this controller asks of the API; keys are of namespaces."""

    def namespace(self, key: Key) -> Namespace | None: ...
    def root_ca(self, namespace: Namespace) -> ConfigMap | None: ...
    def certificate(self) -> str: ...
    async def write(self, namespace: Namespace, todo: Plan) -> None: ...


class RootCAController:
    """Publishes the authority's certificate to each namespace."""

    name = "root-ca-certificate-publisher"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        namespace = self._cluster.namespace(key)
        if namespace is None:
            return DONE
        present = self._cluster.root_ca(namespace)
        todo = plan(namespace, present, self._cluster.certificate())
        if todo.write is not Write.NOTHING:
            await self._cluster.write(namespace, todo)
        return DONE
