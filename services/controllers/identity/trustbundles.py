"""
Trust bundles: the authority of the API server's certificate is there for every pod to mount.

Reads   ClusterTrustBundle (of the signer ``kubernetes.io/kube-apiserver-serving``)
Writes  ClusterTrustBundle (create, update, delete those of an authority of before)
Again   never: whatever matters is a change
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery.kinds.certificates import ClusterTrustBundle
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

SIGNER = "kubernetes.io/kube-apiserver-serving"
_DIGEST_BYTES = 12


@dataclass(frozen=True, slots=True)
class Plan:
    """``write``: the bundle ``name`` is missing, or is ``present`` and says something else."""

    name: str
    write: bool
    present: ClusterTrustBundle | None
    delete: tuple[ClusterTrustBundle, ...]


def bundle_name(authority: str) -> str:
    """Its content is part of the name."""
    digest = hashlib.sha256(authority.encode()).digest()[:_DIGEST_BYTES].hex()
    return f"{SIGNER.replace('/', ':')}:{digest}"


def plan(authority: str, bundles: Sequence[ClusterTrustBundle]) -> Plan:
    """``bundles``: all of the signer; ``authority``: certificates in PEM."""
    name = bundle_name(authority)
    present = next((item for item in bundles if item.metadata.name == name), None)
    others = sorted(
        (item for item in bundles if item is not present), key=lambda item: item.metadata.name
    )
    write = present is None or present.spec.trust_bundle != authority
    return Plan(name, write, present, tuple(others))


class Cluster(Protocol):
    """What this controller asks of the API."""

    def authority(self) -> str: ...
    def bundles(self) -> Sequence[ClusterTrustBundle]: ...
    async def write(self, todo: Plan) -> None: ...
    async def delete(self, bundle: ClusterTrustBundle) -> None: ...


class TrustBundleController:
    """Keeps the one bundle; the key does not matter."""

    name = "clustertrustbundle-publisher"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        del key
        todo = plan(self._cluster.authority(), self._cluster.bundles())
        if todo.write:
            await self._cluster.write(todo)
        for bundle in todo.delete:
            await self._cluster.delete(bundle)
        return DONE
