"""Certificates: who may approve, who may sign, and for whom nobody may ask."""

import base64
import binascii

from cryptography import x509
from cryptography.x509.oid import NameOID

from pilothouse.services.apiserver.admission.request import Admission

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
_MASTERS = "system:masters"


def stamp(request: Admission) -> None:
    """Who asks is written by the server, whatever the request says of it."""
    user, spec = request.user, request.document["spec"]
    written = {
        "username": user.name,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": {name: list(values) for name, values in user.extra.items()},
    }
    for field, value in written.items():
        spec.pop(field, None)
        if value:
            spec[field] = value


def review_subject(request: Admission) -> None:
    """Nobody gets a client certificate of the group that is above all rules."""
    spec = request.document.get("spec") or {}
    if spec.get("signerName") != CLIENT_SIGNER:
        return
    try:
        pem = base64.b64decode(spec.get("request", ""))
        subject = x509.load_pem_x509_csr(pem).subject
    except (ValueError, binascii.Error):
        return
    groups = [name.value for name in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if _MASTERS in groups:
        raise request.forbidden(
            f"use of {CLIENT_SIGNER} signer with {_MASTERS} group is not allowed"
        )


def signer_verb(request: Admission) -> str:
    """What the writer must be allowed to do with the signer: approve, sign, or nothing special."""
    if request.subresource == "approval":
        return "approve"
    status, old = request.document.get("status") or {}, (request.old or {}).get("status") or {}
    signs = request.subresource == "status" and status.get("certificate") != old.get("certificate")
    return "sign" if signs else ""


def signers(request: Admission) -> tuple[str, str]:
    """The signer's name, and that of all signers of its domain."""
    name: str = (request.document.get("spec") or {}).get("signerName", "")
    return name, name.partition("/")[0] + "/*"
