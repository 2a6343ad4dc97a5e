"""Certificates of pods: ask a signer, wait for its answer, ask anew in time."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.services.kubelet.adapters.volumes.references import (
    Reference,
    Referenced,
    References,
)
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.volumes import renewal
from pilothouse.services.kubelet.volumes.payload import Credential
from pilothouse.services.kubelet.volumes.sources import CertificateSource
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import BadRequest, NotFound, ServiceUnavailable
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import POD_CERTIFICATE_REQUESTS, SERVICE_ACCOUNTS
from pilothouse.services.runtime.client.objects import Objects, Selection
from pilothouse.services.runtime.clock import Clock

LIFE_SECONDS_DEFAULT = 24 * 3600

Changed = Callable[[], None]


@dataclass(slots=True)
class _Record:
    """Of one source of one volume: what holds, and what was asked for."""

    current: Credential | None = None
    due_at: float = 0.0
    asked: str = ""
    key: bytes = b""
    refusal: str = ""


class PodCertificates:
    """``node``: name and uid of this node as the API server knows it."""

    def __init__(
        self,
        objects: Objects,
        references: References,
        clock: Clock,
        node: Callable[[], tuple[str, str]],
    ) -> None:
        self._objects = objects
        self._references = references
        self._clock = clock
        self._node = node
        self._records: dict[tuple[str, str], _Record] = {}

    async def credential(
        self, pod: Pod, place: str, source: CertificateSource, changed: Changed
    ) -> tuple[Credential, float]:
        """Key and chain, and when to ask again.

        ServiceUnavailable as long as the signer says nothing (``changed`` is called when it
        does), BadRequest when it refused.
        """
        record = self._records.setdefault((pod.uid, place), _Record())
        now = self._clock.now()
        if record.current is not None and now < record.due_at:
            return record.current, record.due_at
        if not record.refusal:
            if not record.asked:
                await self._ask(pod, source, record)
            await self._hear(pod, place, record, changed)
        if record.refusal:
            raise BadRequest(record.refusal)
        if record.current is None:
            name = f"{pod.metadata.namespace}/{record.asked}"
            raise ServiceUnavailable(f"PodCertificateRequest {name} is not issued yet")
        return record.current, max(record.due_at, now + renewal.RETRY_SECONDS)

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        for key in [key for key in self._records if key[0] == uid]:
            del self._records[key]
            self._references.keep(_holder(*key), frozenset())

    async def _ask(self, pod: Pod, source: CertificateSource, record: _Record) -> None:
        # Few pods have certificates, and what makes keys is large.
        from pilothouse.services.kubelet.volumes import keys  # noqa: PLC0415 - see above

        try:
            key = await asyncio.to_thread(keys.make, source.key_type)
        except ValueError as error:
            raise BadRequest(str(error)) from None
        body = await self._request(pod, source, keys.stub_request(key))
        namespace = pod.metadata.namespace
        made = await self._objects.create(POD_CERTIFICATE_REQUESTS, namespace, body)
        record.asked = msgspec.json.decode(made)["metadata"]["name"]
        record.key = keys.pem(key)

    async def _request(
        self, pod: Pod, source: CertificateSource, stub_request: str
    ) -> dict[str, Any]:
        account = pod.spec.service_account_name or "default"
        found = await self._objects.get(SERVICE_ACCOUNTS, Key(pod.metadata.namespace, account))
        node_name, node_uid = self._node()
        annotations: Mapping[str, str] | None = source.user_annotations
        return {
            "apiVersion": POD_CERTIFICATE_REQUESTS.api_version,
            "kind": POD_CERTIFICATE_REQUESTS.kind,
            "metadata": {"generateName": "req-", "namespace": pod.metadata.namespace},
            "spec": {
                "signerName": source.signer_name,
                "podName": pod.metadata.name,
                "podUID": pod.uid,
                "serviceAccountName": account,
                "serviceAccountUID": msgspec.json.decode(found)["metadata"]["uid"],
                "nodeName": node_name,
                "nodeUID": node_uid,
                "maxExpirationSeconds": source.max_expiration_seconds or LIFE_SECONDS_DEFAULT,
                "stubPKCS10Request": stub_request,
                **({"unverifiedUserAnnotations": dict(annotations)} if annotations else {}),
            },
        }

    async def _hear(self, pod: Pod, place: str, record: _Record, changed: Changed) -> None:
        """Look at what came of the request."""
        namespace = pod.metadata.namespace
        selection = Selection(namespace, fields=f"metadata.name={record.asked}")
        reference = Reference(POD_CERTIFICATE_REQUESTS, selection)
        holder = _holder(pod.uid, place)
        answers = await self._references.read(reference, holder, changed)
        if not answers:
            record.asked = ""
            self._references.keep(holder, frozenset())
            if record.current is None:
                raise NotFound("PodCertificateRequest appears to have been deleted")
            return
        if self._settle(f"{namespace}/{record.asked}", answers[0], record):
            record.asked = ""
            self._references.keep(holder, frozenset())

    def _settle(self, name: str, answer: Referenced, record: _Record) -> bool:
        """Whether the signer has decided; what it said goes into the record."""
        status = answer.status
        for condition in status.conditions if status is not None else ():
            why = f'reason="{condition.reason}", message="{condition.message}"'
            match condition.type:
                case "Denied":
                    record.refusal = f"PodCertificateRequest {name} was denied, {why}"
                case "Failed":
                    record.refusal = f"PodCertificateRequest {name} failed, {why}"
                case "Issued" if status is not None:
                    chain = status.certificate_chain.strip().encode() + b"\n"
                    record.current = Credential(record.key, chain)
                    record.due_at = timestamps.parse(status.begin_refresh_at)
                case _:
                    continue
            return True
        return False


def _holder(uid: str, place: str) -> str:
    return f"{uid}/{place}"
