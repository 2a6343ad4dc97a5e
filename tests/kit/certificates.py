"""Certificates and requests that tests hand to the server."""

import base64
import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "walk")])


@lru_cache(1)
def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@lru_cache(1)
def certificate() -> str:
    """A self-signed authority, PEM."""
    born = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(_key().public_key())
        .serial_number(1)
        .not_valid_before(born)
        .not_valid_after(born + datetime.timedelta(days=36500))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(_key(), hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


@lru_cache(1)
def signing_request() -> str:
    """A request for a certificate, PEM in base64."""
    made = x509.CertificateSigningRequestBuilder().subject_name(_NAME).sign(_key(), hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()
