"""Who serves: a Lease of each API server in ``kube-system``, and the end of those that died.

Named, labelled and timed as in Kubernetes, but that servers of one host are told apart by where
they serve as well.
"""

import base64
import contextlib
import hashlib
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.services.apiserver.bootstrap import SERVER
from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.apiserver.requests import DeleteOptions, Stored, Target, WriteOptions
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import AlreadyExists, ApiError, Conflict, NotFound
from pilothouse.services.machinery.storage import Unavailable
from pilothouse.services.runtime import telemetry

NAMESPACE = "kube-system"
IDENTITY = "apiserver.kubernetes.io/identity"
LEASE_SECONDS = 3600
RENEW_SECONDS = 10.0
# How many renewals lie between two looks for what dead servers left.
_LOOK_EVERY = 360
_HASHED_BYTES = 16
_OPTIONS = WriteOptions(field_manager="kube-apiserver", agent="kube-apiserver")
_LEASES = Target("coordination.k8s.io", "v1", "leases", NAMESPACE)

Document = dict[str, Any]


class _Spec(msgspec.Struct, rename="camel"):
    lease_duration_seconds: int = 0
    renew_time: str = ""


class _Metadata(msgspec.Struct):
    name: str
    uid: str
    labels: dict[str, str] = {}


class _Lease(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server serves: its host's name, and address and port of its door."""

    host: str
    address: str
    port: int

    @property
    def name(self) -> str:
        """Of its Lease."""
        text = f"{self.host}/{self.address}:{self.port}".encode()
        digest = hashlib.sha256(text).digest()[:_HASHED_BYTES]
        return "apiserver-" + base64.b32encode(digest).decode().rstrip("=").lower()


def expired(lease: _Lease, now: float) -> bool:
    """Whether a server's Lease is over; one that cannot be read is."""
    try:
        renewed = timestamps.parse(lease.spec.renew_time)
    except ValueError:
        return True
    return renewed + lease.spec.lease_duration_seconds < now


class Identity:
    """This server's Lease."""

    def __init__(self, registry: Registry, place: Place) -> None:
        self._registry = registry
        self._place = place
        self._target = Target(_LEASES.group, _LEASES.version, _LEASES.plural, NAMESPACE, place.name)
        self._holder = f"{place.name}_{uuid.uuid4()}"
        self._clock = registry.parts.clock
        self._since = ""

    async def run(self) -> None:
        """Renew until cancelled."""
        rounds = 0
        while True:
            try:
                await self.renew()
                if rounds % _LOOK_EVERY == 0:
                    await self.collect()
            except (ApiError, Unavailable) as error:
                telemetry.logger().warning("identity is not renewed", error=str(error))
            rounds += 1
            await self._clock.sleep(RENEW_SECONDS)

    async def renew(self) -> None:
        """Say that this server lives."""
        now = timestamps.render_micro(self._clock.now())
        self._since = self._since or now
        found = self._found()
        wanted = self._document(now)
        if found is None:
            with contextlib.suppress(AlreadyExists):
                await self._registry.create(SERVER, _LEASES, wanted, _OPTIONS)
                return
            wanted = self._document(now)
            found = self._found()
        if found is not None:
            wanted["metadata"]["resourceVersion"] = str(found.revision)
        await self._registry.update(SERVER, self._target, wanted, _OPTIONS)

    async def collect(self) -> None:
        """Delete the Leases of servers that have not renewed them for long."""
        cache, now = self._registry.parts.cache, self._clock.now()
        for stored in cache.objects("coordination.k8s.io", "leases", NAMESPACE):
            lease = _read(stored)
            if lease is None or IDENTITY not in lease.metadata.labels or not expired(lease, now):
                continue
            target = Target(
                _LEASES.group, _LEASES.version, _LEASES.plural, NAMESPACE, lease.metadata.name
            )
            seen = DeleteOptions(uid=lease.metadata.uid, resource_version=str(stored.revision))
            try:
                await self._registry.delete(SERVER, target, seen)
            except (Conflict, NotFound):
                # It was renewed, or another server was faster.
                continue

    def _found(self) -> Stored | None:
        return self._registry.parts.cache.find("coordination.k8s.io", "leases", self._target.key)

    def _document(self, now: str) -> Document:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self._place.name,
                "namespace": NAMESPACE,
                "labels": {
                    IDENTITY: "kube-apiserver",
                    "kubernetes.io/hostname": self._place.host,
                },
            },
            "spec": {
                "holderIdentity": self._holder,
                "leaseDurationSeconds": LEASE_SECONDS,
                "acquireTime": self._since,
                "renewTime": now,
            },
        }


def _read(stored: Stored) -> _Lease | None:
    try:
        return msgspec.json.decode(stored.json, type=_Lease)
    except msgspec.MsgspecError:
        return None
