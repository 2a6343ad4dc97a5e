"""The certificate authority: signs what the plan names, keeps what is still good."""

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pilothouse.ops.pki.plan import Certificate
from pilothouse.services.runtime.clock import Clock

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 365
RENEW_DAYS = 30
# Machines whose clocks run behind must accept what was signed just now.
BACKDATE = datetime.timedelta(hours=1)
RSA_BITS = 2048

_USAGES = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}
_SigningKey = ec.EllipticCurvePrivateKey


@dataclass(slots=True)
class Authority:
    """The CA in a directory of PEM files, ``ca.crt`` and ``ca.key`` first among them."""

    directory: Path
    clock: Clock
    certificate: x509.Certificate
    key: _SigningKey

    @classmethod
    def open(cls, directory: Path, clock: Clock) -> "Authority":
        """Load the authority, or make a new one when the directory has none."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        certificate_path, key_path = directory / "ca.crt", directory / "ca.key"
        if certificate_path.exists() and key_path.exists():
            certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
            key = serialization.load_pem_private_key(key_path.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ValueError(f"{key_path}: not an elliptic curve key")
            return cls(directory, clock, certificate, key)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _self_signed(key, _now(clock))
        _write(key_path, _key_pem(key), 0o600)
        _write(certificate_path, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
        return cls(directory, clock, certificate, key)

    def ensure(self, wanted: Certificate) -> bool:
        """Sign ``wanted`` unless its files are there and good; whether it was signed."""
        path = self.directory / f"{wanted.stem}.crt"
        key_path = self.directory / f"{wanted.stem}.key"
        if path.exists() and key_path.exists() and self._is_good(path, wanted):
            return False
        key = ec.generate_private_key(ec.SECP256R1())
        _write(key_path, _key_pem(key), 0o600)
        signed = self._sign(wanted, key.public_key())
        _write(path, signed.public_bytes(serialization.Encoding.PEM), 0o644)
        return True

    def ensure_service_account_key(self) -> None:
        """The RSA key pair that signs service account tokens: ``sa.key`` and ``sa.pub``."""
        if (self.directory / "sa.key").exists() and (self.directory / "sa.pub").exists():
            return
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        _write(self.directory / "sa.key", _key_pem(key), 0o600)
        _write(self.directory / "sa.pub", public, 0o644)

    def _is_good(self, path: Path, wanted: Certificate) -> bool:
        try:
            present = x509.load_pem_x509_certificate(path.read_bytes())
            present.verify_directly_issued_by(self.certificate)
        except Exception:  # noqa: BLE001 - whatever is wrong with the file, the cure is a new one
            return False
        left = present.not_valid_after_utc - _now(self.clock)
        same_names = _alternative_names(present) == {
            *wanted.names,
            *map(_ip_text, wanted.addresses),
        }
        return left > datetime.timedelta(days=RENEW_DAYS) and same_names

    def _sign(self, wanted: Certificate, public: ec.EllipticCurvePublicKey) -> x509.Certificate:
        now = _now(self.clock)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_subject(wanted.common_name, wanted.organization))
            .issuer_name(self.certificate.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATE)
            .not_valid_after(now + datetime.timedelta(days=CERTIFICATE_DAYS))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([_USAGES[usage] for usage in wanted.usages]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in wanted.names]
        names += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in wanted.addresses]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def _self_signed(key: _SigningKey, now: datetime.datetime) -> x509.Certificate:
    subject = _subject("pilothouse-ca", "")
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + datetime.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not authority,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(common_name: str, organization: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _alternative_names(certificate: x509.Certificate) -> set[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    names = extension.value
    return {
        *names.get_values_for_type(x509.DNSName),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    }


def _ip_text(address: str) -> str:
    return str(ipaddress.ip_address(address))


def _now(clock: Clock) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(clock.now(), datetime.UTC)


def _key_pem(key: _SigningKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    fresh.replace(path)
