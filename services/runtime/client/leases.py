"""The Lease that components contend for, as it is kept in the API."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.objects import Key, Metadata, View
from pilothouse.services.machinery.resources import LEASES
from pilothouse.services.runtime.client.events import Recorder, Reference
from pilothouse.services.runtime.client.objects import Objects, Selection
from pilothouse.services.runtime.control.leadership import Record


class _Spec(View, frozen=True, kw_only=True):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class _Lease(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: _Spec = _Spec()


@dataclass(frozen=True, slots=True)
class ApiLeases:
    """The Lease ``key`` in the API; ``recorder`` writes what people shall know of it."""

    objects: Objects
    key: Key
    identity: str
    recorder: Recorder

    async def get(self) -> tuple[Record, str]:
        return _told(await self.objects.get(LEASES, self.key))

    async def watch(self) -> AsyncIterator[tuple[Record, str] | None]:
        one = Selection(self.key.namespace, fields=f"metadata.name={self.key.name}")
        async for batch in self.objects.watch(LEASES, one):
            for event in batch:
                if event.type != "BOOKMARK":
                    yield None if event.type == "DELETED" else _told(event.json)

    async def create(self, record: Record) -> str:
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self.key.name, "namespace": self.key.namespace},
            "spec": _spec(record),
        }
        answer = await self.objects.create(LEASES, self.key.namespace, body)
        return _read(answer).metadata.resource_version

    async def update(self, record: Record, revision: str) -> str:
        patch = {"metadata": {"resourceVersion": revision}, "spec": _spec(record)}
        answer = await self.objects.patch(LEASES, self.key, patch)
        return _read(answer).metadata.resource_version

    def note(self, message: str) -> None:
        about = Reference(
            LEASES.kind, self.key.namespace, self.key.name, "", api_version=LEASES.api_version
        )
        self.recorder.note(about, "Normal", "LeaderElection", f"{self.identity} {message}")


def _read(text: str) -> _Lease:
    return msgspec.json.decode(text, type=_Lease)


def _told(text: str) -> tuple[Record, str]:
    lease = _read(text)
    spec = lease.spec
    record = Record(
        spec.holder_identity or "",
        spec.lease_duration_seconds or 0,
        _seconds(spec.acquire_time),
        _seconds(spec.renew_time),
        spec.lease_transitions or 0,
    )
    return record, lease.metadata.resource_version


def _seconds(text: str | None) -> float:
    return timestamps.parse(text) if text else 0.0


def _spec(record: Record) -> dict[str, str | int]:
    return {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": record.duration_seconds,
        "acquireTime": timestamps.render_micro(record.acquired),
        "renewTime": timestamps.render_micro(record.renewed),
        "leaseTransitions": record.transitions,
    }
