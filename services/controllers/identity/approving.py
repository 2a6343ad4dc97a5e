"""
Certificate approval: a kubelet that may ask for its client certificate has it approved.

Reads   CertificateSigningRequest
Writes  CertificateSigningRequest (its approval)
Again   while who asks may not: the right may be given later

All other requests wait for a person. Whether the asker may is asked of the API server.
"""

from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery.errors import Forbidden
from pilothouse.services.machinery.kinds import certificates
from pilothouse.services.machinery.kinds.certificates import CertificateSigningRequest, Subject
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result


@dataclass(frozen=True, slots=True)
class Ground:
    """A right that suffices, as a subresource to create, and what is said when it does."""

    subresource: str
    message: str


SELF = Ground(
    "selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."
)
NODE = Ground("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.")


def plan(request: CertificateSigningRequest, subject: Subject | None) -> tuple[Ground, ...]:
    """On what grounds it may be approved, to be tried in order; ``subject`` is whom it names."""
    if request.status.certificate or certificates.has(request, "Approved", "Denied"):
        return ()
    spec = request.spec
    if subject is None or spec.signer_name != certificates.KUBELET_CLIENT:
        return ()
    if certificates.fault(spec.signer_name, subject, spec.usages) != "":
        return ()
    return (SELF, NODE) if spec.username == subject.common_name else (NODE,)


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> CertificateSigningRequest | None: ...
    def subject(self, request: CertificateSigningRequest) -> Subject | None:
        """Whom the certificate is to be for; None when the request can not be read."""

    async def may(self, request: CertificateSigningRequest, ground: Ground) -> bool: ...
    async def approve(self, request: CertificateSigningRequest, message: str) -> None: ...


class ApprovingController:
    """Approves the requests of kubelets."""

    name = "csrapproving"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        request = self._cluster.find(key)
        if request is None:
            return DONE
        grounds = plan(request, self._cluster.subject(request))
        for ground in grounds:
            if await self._cluster.may(request, ground):
                await self._cluster.approve(request, ground.message)
                return DONE
        if grounds:
            tried = " ".join(ground.subresource for ground in grounds)
            why = "but subject access review was not approved"
            raise Forbidden(f'recognized csr "{key.name}" as [{tried}] {why}')
        return DONE
