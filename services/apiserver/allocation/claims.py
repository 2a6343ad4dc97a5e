"""What is given out, written into the store, so that no two servers give out the same.

    claim (memory) ─▶ hold (an object for each number, created only if there is none) ─▶ the Service

A cluster address is an ``IPAddress`` named after it, as in Kubernetes; a node port a small record
beside. A number is given back when its Service goes or lets go of it. What a killed server left is
taken over by whoever asks for it once it is :data:`STALE_SECONDS` old, and at start.
"""

import ipaddress
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import msgspec

from pilothouse.services.apiserver.allocation.allocator import Allocator, Claim
from pilothouse.services.apiserver.allocation.pool import Pool
from pilothouse.services.apiserver.ports import Storage
from pilothouse.services.apiserver.requests import Stored
from pilothouse.services.machinery import names, timestamps
from pilothouse.services.machinery.errors import Cause, InternalError, ServiceUnavailable
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.storage import Changed, Entry, Unavailable
from pilothouse.services.runtime.clock import Clock

Document: TypeAlias = dict[str, Any]

ADDRESSES = "/registry/ipaddresses/"
PORTS = "/registry/servicenodeports/"
MANAGED_BY = "ipallocator.k8s.io"
_MANAGED = "ipaddress.kubernetes.io/managed-by"
STALE_SECONDS = 60.0
"""No write takes so long: a claim of that age without its Service belongs to nobody."""
_TRIES = 16


class _Metadata(msgspec.Struct):
    creation_timestamp: str = msgspec.field(name="creationTimestamp", default="")
    labels: dict[str, str] = {}
    name: str = ""
    namespace: str = ""


class _Parent(msgspec.Struct):
    namespace: str = ""
    name: str = ""


class _Spec(msgspec.Struct):
    parent: _Parent = msgspec.field(name="parentRef", default_factory=_Parent)


class _Record(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)


class Live(Protocol):
    """What claims ask about the Services that are there."""

    def find(self, group: str, plural: str, key: Key) -> Stored | None:
        """The object of that key."""


@dataclass(slots=True)
class Held:
    """A claim whose numbers are also held in the store; ``keys`` are what was written."""

    claim: Claim
    keys: dict[str, int]


class Claims:
    """Holds and releases. ``find`` is the cache's."""

    def __init__(self, allocator: Allocator, storage: Storage, live: Live, clock: Clock) -> None:
        self._allocator = allocator
        self._storage = storage
        self._live = live
        self._clock = clock

    async def hold(self, document: Document, uid: str, *, dry_run: bool) -> Held:
        """Give a Service what it asks for or lacks; look at ``claim.causes`` after."""
        asked = msgspec.json.encode(document["spec"])
        for _ in range(_TRIES):
            claim = self._allocator.claim(document)
            held = Held(claim, {})
            if claim.causes or dry_run:
                return held
            try:
                lost = await self._write(held, document, uid)
            except BaseException:
                await self.undo(held, document["metadata"]["uid"])
                raise
            if lost is None:
                return held
            await self.undo(held, document["metadata"]["uid"])
            document["spec"] = msgspec.json.decode(asked)
            if _names(document["spec"], lost):
                claim.causes.append(_taken(document["spec"], lost))
                return held
        raise InternalError("no address or node port could be held")

    async def undo(self, held: Held, uid: str) -> None:
        """Give back what was held for a write that failed."""
        self._allocator.undo(held.claim, uid)
        keys, held.keys = held.keys, {}
        for key, revision in keys.items():
            await self._delete(key, revision)

    async def release(self, old: Stored, new: Document | None) -> None:
        """Give back what a Service held and holds no longer; ``new`` None when it is gone."""
        kept = set(_keys_of(new["spec"])) if new is not None else set()
        for key in _keys_of(msgspec.json.decode(old.json).get("spec") or {}):
            if key not in kept:
                entry = await self._read(key)
                if entry is not None and self._is_of(entry, old.key):
                    await self._delete(key, entry.mod_revision)

    async def repair(self, services: Iterable[Stored]) -> None:
        """At start: hold what Services have and nobody holds; give back what no Service has."""
        entries: list[Entry] = []
        for prefix in (ADDRESSES, PORTS):
            entries += (await self._storage.load(prefix.encode()))[0]
        held = {entry.key.decode() for entry in entries}
        for service in services:
            document = msgspec.json.decode(service.json)
            for key in _keys_of(document.get("spec") or {}):
                if key not in held:
                    record = self._record(key, document["metadata"], str(uuid.uuid4()))
                    await self._put(key, msgspec.json.encode(record), document["metadata"])
        for entry in entries:
            if self._stale(entry.key.decode(), entry):
                await self._delete(entry.key.decode(), entry.mod_revision)

    @staticmethod
    def is_held_by(service: Stored, address: str) -> bool:
        """Whether it is a Service's own address."""
        return f"{ADDRESSES}{address}" in _keys_of(msgspec.json.decode(service.json).get("spec"))

    async def _write(self, held: Held, document: Document, uid: str) -> str | None:
        """Write what the claim took; the key that another holds, or None."""
        for pool, number in held.claim.taken:
            key = self._key(pool, number)
            value = msgspec.json.encode(self._record(key, document["metadata"], uid))
            revision = await self._put(key, value, document["metadata"])
            if revision is None:
                return key
            if revision:
                held.keys[key] = revision
        return None

    async def _put(self, key: str, value: bytes, owner: Document) -> int | None:
        """Hold a number: the revision, 0 where it is its Service's already, None if another's.

        What is its Service's already may be what another server holds for the same one, which it
        creates just now: nobody but that server may give it back.
        """
        expect = 0
        for _ in range(2):
            try:
                revision = await self._storage.put(key.encode(), value, expect=expect)
            except Changed as taken:
                current = taken.current
                if current is None:
                    expect = 0
                elif self._is_of(current, Key(owner["namespace"], owner["name"])):
                    return 0
                elif self._stale(key, current):
                    expect = current.mod_revision
                else:
                    return None
            except Unavailable as error:
                raise ServiceUnavailable(str(error), retry_after_seconds=1) from None
            else:
                return revision
        return None

    async def _delete(self, key: str, revision: int) -> None:
        try:
            await self._storage.delete(key.encode(), expect=revision)
        except (Changed, Unavailable):
            # Whose it is now will see to it; what stays is taken over when it is stale.
            return

    async def _read(self, key: str) -> Entry | None:
        try:
            entries, _ = await self._storage.load(key.encode())
        except Unavailable:
            return None
        return next((entry for entry in entries if entry.key == key.encode()), None)

    def _is_of(self, entry: Entry, service: Key) -> bool:
        parent = _record(entry).spec.parent
        return (parent.namespace, parent.name) == (service.namespace, service.name)

    def _stale(self, key: str, entry: Entry) -> bool:
        """Nobody's: made by a server, long ago, for a Service that does not hold it."""
        record = _record(entry)
        metadata, parent = record.metadata, record.spec.parent
        if metadata.labels.get(_MANAGED) != MANAGED_BY:
            return False
        made = timestamps.parse(metadata.creation_timestamp) if metadata.creation_timestamp else 0
        if self._clock.now() - made < STALE_SECONDS:
            return False
        service = self._live.find("", "services", Key(parent.namespace, parent.name))
        spec = msgspec.json.decode(service.json).get("spec") if service is not None else None
        return not spec or key not in _keys_of(spec)

    def _key(self, pool: Pool, number: int) -> str:
        if self._allocator.is_address(pool):
            return f"{ADDRESSES}{ipaddress.IPv4Address(number)}"
        return f"{PORTS}{number}"

    def _record(self, key: str, owner: Document, uid: str) -> Document:
        parent = {"resource": "services", "namespace": owner["namespace"], "name": owner["name"]}
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IPAddress",
            "metadata": {
                "name": key.rpartition("/")[2],
                "uid": uid,
                "creationTimestamp": timestamps.render(self._clock.now()),
                "labels": {
                    "ipaddress.kubernetes.io/ip-family": "IPv4",
                    _MANAGED: MANAGED_BY,
                },
            },
            "spec": {"parentRef": parent},
        }


def names_service_of(address: Stored) -> Key | None:
    """The Service that an ``IPAddress`` of ours is held for."""
    record = _read(address.json)
    if record.metadata.labels.get(_MANAGED) != MANAGED_BY:
        return None
    return Key(record.spec.parent.namespace, record.spec.parent.name)


def _record(entry: Entry) -> _Record:
    return _read(entry.value)


def _read(text: bytes) -> _Record:
    try:
        return msgspec.json.decode(text, type=_Record)
    except msgspec.MsgspecError:
        return _Record(_Metadata())


def _keys_of(spec: Document) -> list[str]:
    """What a Service's spec holds."""
    address = spec.get("clusterIP")
    keys = [f"{ADDRESSES}{address}"] if address and address != "None" else []
    numbers = [port.get("nodePort") for port in spec.get("ports") or ()]
    numbers.append(spec.get("healthCheckNodePort"))
    return keys + [f"{PORTS}{number}" for number in dict.fromkeys(numbers) if number]


def _names(spec: Document, key: str) -> bool:
    """Whether the client asked for that very number."""
    addresses = (spec.get("clusterIPs") or [])[:1]
    return key in _keys_of({**spec, "clusterIP": spec.get("clusterIP") or "".join(addresses)})


def _taken(spec: Document, key: str) -> Cause:
    number = key.rpartition("/")[2]
    if key.startswith(ADDRESSES):
        detail = f"failed to allocate IP {number}: provided IP is already allocated"
        return names.invalid("spec.clusterIPs", [number], detail)
    if str(spec.get("healthCheckNodePort")) == number:
        detail = f"failed to allocate requested HealthCheck NodePort {number}"
        return names.invalid("spec.healthCheckNodePort", int(number), detail)
    ports = spec.get("ports") or ()
    index = next(i for i, port in enumerate(ports) if str(port.get("nodePort")) == number)
    detail = "provided port is already allocated"
    return names.invalid(f"spec.ports[{index}].nodePort", int(number), detail)
