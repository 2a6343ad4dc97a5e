"""Facts about requests for certificates: who signs what, and what a kubelet may ask for."""

from collections.abc import Iterable
from dataclasses import dataclass

from pilothouse.services.machinery.objects import Metadata, View

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"
NODES = "system:nodes"
NODE_PREFIX = "system:node:"

_SIGNATURE, _ENCIPHERMENT = "digital signature", "key encipherment"


class Condition(View, frozen=True, kw_only=True):
    type: str
    status: str = "True"
    reason: str = ""
    message: str = ""
    last_update_time: str | None = None
    last_transition_time: str | None = None


class Spec(View, frozen=True, kw_only=True):
    """``request`` is PEM in base64."""

    request: str = ""
    signer_name: str = ""
    expiration_seconds: int | None = None
    usages: tuple[str, ...] = ()
    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


class Status(View, frozen=True, kw_only=True):
    conditions: tuple[Condition, ...] = ()
    certificate: str = ""


class CertificateSigningRequest(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: Spec = Spec()
    status: Status = Status()


class BundleSpec(View, frozen=True, kw_only=True):
    """``trust_bundle`` is certificates in PEM."""

    signer_name: str = ""
    trust_bundle: str = ""


class ClusterTrustBundle(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: BundleSpec = BundleSpec()


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a certificate is to be for; ``other_names`` are its mail addresses and URIs."""

    common_name: str = ""
    organizations: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    email_addresses: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()


def has(request: CertificateSigningRequest, *types: str) -> bool:
    """Whether one of these conditions is there."""
    return any(condition.type in types for condition in request.status.conditions)


def fault(signer: str, subject: Subject, usages: Iterable[str]) -> str | None:
    """Why ``signer`` may not sign this; empty when it may, None for signers we do not know."""
    asked = tuple(usages)
    if signer == KUBELET_CLIENT:
        return _kubelet_client(subject, asked)
    if signer == KUBELET_SERVING:
        return _kubelet_serving(subject, asked)
    if signer == CLIENT:
        return _client(asked)
    return "" if signer == LEGACY else None


def _kubelet_client(subject: Subject, usages: tuple[str, ...]) -> str:
    if subject.organizations != (NODES,):
        return "subject organization is not system:nodes"
    for names, kind in (
        (subject.dns_names, "DNS"),
        (subject.email_addresses, "Email"),
        (subject.ip_addresses, "IP"),
        (subject.uris, "URI"),
    ):
        if names:
            return f"{kind} subjectAltNames are not allowed"
    return _node_name(subject) or _usages(usages, "client auth")


def _kubelet_serving(subject: Subject, usages: tuple[str, ...]) -> str:
    if subject.organizations != (NODES,):
        return "subject organization is not system:nodes"
    if not subject.dns_names and not subject.ip_addresses:
        return "DNS or IP subjectAltName is required"
    for names, kind in ((subject.email_addresses, "Email"), (subject.uris, "URI")):
        if names:
            return f"{kind} subjectAltNames are not allowed"
    return _usages(usages, "server auth") or _node_name(subject)


def _node_name(subject: Subject) -> str:
    if subject.common_name.startswith(NODE_PREFIX):
        return ""
    return "subject common name does not begin with system:node: "


def _usages(usages: tuple[str, ...], purpose: str) -> str:
    wanted = {_SIGNATURE, _ENCIPHERMENT, purpose}
    if set(usages) in (wanted, wanted - {_ENCIPHERMENT}):
        return ""
    return f"usages did not match [{' '.join(sorted(wanted))}]"


def _client(usages: tuple[str, ...]) -> str:
    for usage in usages:
        if usage not in {_SIGNATURE, _ENCIPHERMENT, "client auth"}:
            return f"invalid usage for client certificate: {usage}"
    if "client auth" not in usages:
        return "missing required usage for client certificate: client auth"
    return ""
