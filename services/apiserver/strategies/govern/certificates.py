"""certificates.k8s.io: requests for certificates, and bundles of those that are trusted."""

import base64
import binascii
import re

from cryptography import x509

from pilothouse.services.apiserver.strategies.pod.projections import check_signer
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy, immutable
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

SECONDS_MIN = 600
BUNDLE_BYTES_MAX = 1024 * 1024
_USAGES = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign",
    "data encipherment", "decipher only", "digital signature", "email protection",
    "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement",
    "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth",
    "signing", "timestamping",
)  # fmt: skip
_VERDICTS = ("Approved", "Denied")
_PEM = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)


def _default(body: Body) -> None:
    spec = body.setdefault("spec", {})
    if not spec.get("usages"):
        spec["usages"] = ["digital signature", "key encipherment"]


def _check(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = _check_request(spec.get("request", ""))
    signer = spec.get("signerName", "")
    causes += check_signer(signer, "spec.signerName")
    if signer == "kubernetes.io/legacy-unknown":
        detail = "the legacy signerName is not allowed via this API version"
        causes.append(names.invalid("spec.signerName", signer, detail))
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < SECONDS_MIN:
        detail = f"may not specify a duration less than {SECONDS_MIN} seconds (10 minutes)"
        causes.append(names.invalid("spec.expirationSeconds", seconds, detail))
    usages = spec.get("usages") or []
    for index, usage in enumerate(usages):
        field = f"spec.usages[{index}]"
        if usage not in _USAGES:
            causes.append(names.unsupported(field, usage, _USAGES))
        if usage in usages[:index]:
            causes.append(names.duplicate(field, usage))
    return causes + _check_conditions(body)


def _check_request(text: str) -> list[Cause]:
    field = "spec.request"
    if not text:
        return [names.required(field)]
    try:
        x509.load_pem_x509_csr(base64.b64decode(text))
    except (ValueError, binascii.Error):
        detail = "PEM block type must be CERTIFICATE REQUEST"
        return [names.invalid(field, text, detail)]
    return []


def _check_conditions(body: Body) -> list[Cause]:
    conditions = (body.get("status") or {}).get("conditions") or []
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        where, kind = f"status.conditions[{index}]", condition.get("type", "")
        status = condition.get("status", "")
        if not kind:
            causes.append(names.required(f"{where}.type"))
        if kind in ("Approved", "Denied", "Failed") and status not in ("", "True"):
            causes.append(names.unsupported(f"{where}.status", status, ("True",)))
        if kind in seen:
            causes.append(names.duplicate(f"{where}.type", kind))
        seen.add(kind)
    if {"Approved", "Denied"} <= seen:
        detail = "Approved and Denied conditions are mutually exclusive"
        causes.append(names.invalid("status.conditions", "Denied", detail))
    return causes


def _check_update(new: Body, old: Body) -> list[Cause]:
    after = new.get("spec")
    return immutable("spec", after, after, old.get("spec"))


def _check_status(new: Body, old: Body) -> list[Cause]:
    """Verdicts once given stay; a certificate once issued is not exchanged."""
    causes = _check_conditions(new)
    after = {c.get("type") for c in (new.get("status") or {}).get("conditions") or ()}
    before = {c.get("type") for c in (old.get("status") or {}).get("conditions") or ()}
    causes += [
        names.forbidden("status.conditions", f"updates may not remove a condition of type "
                        f'"{verdict}"')
        for verdict in (*_VERDICTS, "Failed")
        if verdict in before - after
    ]  # fmt: skip
    issued = (old.get("status") or {}).get("certificate")
    given = (new.get("status") or {}).get("certificate")
    if issued and given != issued:
        detail = "updates may not set certificate content unless it is empty"
        causes.append(names.forbidden("status.certificate", detail))
    return causes


def _check_bundle(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    signer, name = spec.get("signerName", ""), (body.get("metadata") or {}).get("name", "")
    causes: list[Cause] = []
    if signer:
        causes += check_signer(signer, "spec.signerName")
        prefix = signer.replace("/", ":") + ":"
        if not name.startswith(prefix):
            detail = (
                f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}"
            )
            causes.append(names.invalid("metadata.name", name, detail))
    elif ":" in name:
        detail = 'ClusterTrustBundle without signer name must not have ":" in its name'
        causes.append(names.invalid("metadata.name", name, detail))
    return causes + _check_anchors(spec.get("trustBundle", ""))


def _check_anchors(text: str) -> list[Cause]:
    field = "spec.trustBundle"
    if len(text) > BUNDLE_BYTES_MAX:
        return [names.too_long(field, BUNDLE_BYTES_MAX)]
    blocks = list(_PEM.finditer(text.encode()))
    if not blocks:
        return [
            names.invalid(field, "<value omitted>", "at least one trust anchor must be provided")
        ]
    seen: set[bytes] = set()
    for index, block in enumerate(blocks):
        if block[1] != b"CERTIFICATE":
            detail = f"entry {index} has bad block type: {block[1].decode()}"
            return [names.invalid(field, "<value omitted>", detail)]
        try:
            found = x509.load_pem_x509_certificate(block[0])
        except ValueError:
            detail = f"entry {index} does not parse as X.509"
            return [names.invalid(field, "<value omitted>", detail)]
        der = found.tbs_certificate_bytes
        if der in seen:
            detail = f"duplicate trust anchor (indices 0 and {index})"
            return [names.invalid(field, "<value omitted>", detail)]
        seen.add(der)
    return []


def _check_bundle_update(new: Body, old: Body) -> list[Cause]:
    after, before = ((body.get("spec") or {}).get("signerName", "") for body in (new, old))
    return immutable("spec.signerName", after, after, before)


CERTIFICATE_SIGNING_REQUEST = Strategy(_default, _check, _check_update, check_status=_check_status)
TRUST_BUNDLE = Strategy(
    check=_check_bundle, check_update=_check_bundle_update, name=names.path_segment
)
POD_CERTIFICATE_REQUEST = Strategy(check_update=_check_update)
