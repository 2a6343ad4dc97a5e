"""
Certificate signing: approved requests to the cluster's own signers get their certificate.

Reads   CertificateSigningRequest
Writes  CertificateSigningRequest status (the certificate, or why there is none)
Again   never: whatever matters is a change
"""

from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery.kinds import certificates
from pilothouse.services.machinery.kinds.certificates import CertificateSigningRequest, Subject
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

BACKDATE_SECONDS = 300
"""Certificates are valid a little before they are made: clocks differ."""
SECONDS_MIN = 600
SHORT_SECONDS = 8 * 3600


@dataclass(frozen=True, slots=True)
class Terms:
    """From when to when (seconds since the epoch) a certificate is valid."""

    begins: float
    ends: float


@dataclass(frozen=True, slots=True)
class Plan:
    terms: Terms | None = None
    failure: str = ""


def plan(
    request: CertificateSigningRequest, subject: Subject | None, lasting: float, now: float
) -> Plan:
    """``lasting`` is the longest time (seconds) that a certificate is made for."""
    approved = certificates.has(request, "Approved")
    over = certificates.has(request, "Denied", "Failed") or request.status.certificate
    if subject is None or not approved or over:
        return Plan()
    fault = certificates.fault(request.spec.signer_name, subject, request.spec.usages)
    if fault is None:
        return Plan()
    if fault:
        return Plan(failure=fault)
    asked = request.spec.expiration_seconds
    seconds = lasting if asked is None else min(max(asked, SECONDS_MIN), lasting)
    ends = now + seconds - (BACKDATE_SECONDS if seconds >= SHORT_SECONDS else 0)
    return Plan(Terms(now - BACKDATE_SECONDS, ends))


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> CertificateSigningRequest | None: ...
    def subject(self, request: CertificateSigningRequest) -> Subject | None:
        """Whom the certificate is to be for; None when the request can not be read."""

    def lasting(self) -> float: ...
    def now(self) -> float: ...
    async def sign(self, request: CertificateSigningRequest, terms: Terms) -> None:
        """Make the certificate, valid no longer than the authority is, and hand it out."""

    async def refuse(self, request: CertificateSigningRequest, why: str) -> None: ...


class SigningController:
    """Signs what was approved."""

    name = "csrsigning"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        request = self._cluster.find(key)
        if request is None:
            return DONE
        subject = self._cluster.subject(request)
        todo = plan(request, subject, self._cluster.lasting(), self._cluster.now())
        if todo.failure:
            await self._cluster.refuse(request, todo.failure)
        elif todo.terms is not None:
            await self._cluster.sign(request, todo.terms)
        return DONE
