"""Reading requests for certificates, and making the certificates: all of X.509 is here."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pilothouse.services.controllers.identity.signing import Terms
from pilothouse.services.machinery.kinds.certificates import Subject

_KEY_USAGES = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "key agreement": "key_agreement",
    "data encipherment": "data_encipherment",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}
_PURPOSES = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec end system": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft sgc": x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": x509.ObjectIdentifier("2.16.840.1.113730.4.1"),
}

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Signing:
    """What certificates are signed with, both PEM, and for how long at most."""

    certificate: str
    key: str
    seconds: float


def subject(request: str) -> Subject | None:
    """Whom a request (PEM in base64) names; None when it is none."""
    try:
        found = x509.load_pem_x509_csr(base64.b64decode(request))
    except (ValueError, binascii.Error):
        return None
    names = _names(found)
    return Subject(
        common_name="".join(_texts(found.subject, NameOID.COMMON_NAME)[-1:]),
        organizations=_texts(found.subject, NameOID.ORGANIZATION_NAME),
        dns_names=tuple(names.get_values_for_type(x509.DNSName)),
        ip_addresses=tuple(map(str, names.get_values_for_type(x509.IPAddress))),
        email_addresses=tuple(names.get_values_for_type(x509.RFC822Name)),
        uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
    )


def _texts(name: x509.Name, kind: x509.ObjectIdentifier) -> tuple[str, ...]:
    return tuple(str(item.value) for item in name.get_attributes_for_oid(kind))


def _names(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName:
    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def expires(certificate: str) -> float | None:
    """When a certificate (PEM in base64) ends, in seconds since the epoch; None for no such."""
    try:
        found = x509.load_pem_x509_certificate(base64.b64decode(certificate))
    except (ValueError, binascii.Error):
        return None
    return found.not_valid_after_utc.timestamp()


class Authority:
    """Signs for the whole cluster."""

    def __init__(self, signing: Signing) -> None:
        self.seconds = signing.seconds
        self._certificate = x509.load_pem_x509_certificate(signing.certificate.encode())
        self._key = cast("Key", load_pem_private_key(signing.key.encode(), None))

    def sign(self, request: str, usages: Iterable[str], terms: Terms) -> str:
        """The certificate for ``request``, both PEM in base64; ValueError on a bad request."""
        asked = x509.load_pem_x509_csr(base64.b64decode(request))
        if not asked.is_signature_valid:
            raise ValueError("the request is not signed with the key it names")
        ends = min(moment(terms.ends), self._certificate.not_valid_after_utc)
        if ends <= moment(terms.begins) + timedelta(seconds=1):
            raise ValueError(f"the signer has expired: NotAfter={ends}")
        wanted = tuple(usages)
        builder = (
            x509.CertificateBuilder()
            .subject_name(asked.subject)
            .issuer_name(self._certificate.subject)
            .public_key(asked.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment(terms.begins))
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        key_usages = {_KEY_USAGES[usage] for usage in wanted if usage in _KEY_USAGES}
        if key_usages:
            builder = builder.add_extension(_key_usage(key_usages), critical=True)
        purposes = list(dict.fromkeys(_PURPOSES[use] for use in wanted if use in _PURPOSES))
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        names = _names(asked)
        if list(names):
            builder = builder.add_extension(names, critical=False)
        hashing = None if isinstance(self._key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        made = builder.sign(self._key, hashing)
        return base64.b64encode(made.public_bytes(Encoding.PEM)).decode()


def _key_usage(wanted: set[str]) -> x509.KeyUsage:
    agrees = "key_agreement" in wanted
    said = {name: name in wanted for name in set(_KEY_USAGES.values())}
    for name in ("encipher_only", "decipher_only"):
        said[name] = said[name] and agrees
    return x509.KeyUsage(**said)


def moment(seconds: float) -> datetime:
    """As X.509 tells time: whole seconds, UTC."""
    return datetime.fromtimestamp(int(seconds), UTC)
