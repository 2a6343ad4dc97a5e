"""Private keys for pods, and the requests that prove possession of them."""

import base64
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

RSA_EXPONENT = 65_537
_CURVES: dict[str, ec.EllipticCurve] = {
    "ECDSAP256": ec.SECP256R1(),
    "ECDSAP384": ec.SECP384R1(),
    "ECDSAP521": ec.SECP521R1(),
}
_DIGESTS = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}


def make(key_type: str) -> PrivateKey:
    """A new key of a type that a ``podCertificate`` may name; ValueError for another."""
    if key_type in _CURVES:
        return ec.generate_private_key(_CURVES[key_type])
    if key_type == "ED25519":
        return ed25519.Ed25519PrivateKey.generate()
    if key_type in {"RSA3072", "RSA4096"}:
        return rsa.generate_private_key(RSA_EXPONENT, int(key_type.removeprefix("RSA")))
    raise ValueError(f"unknown key type {key_type!r}")


def pem(key: PrivateKey) -> bytes:
    """PKCS#8, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def stub_request(key: PrivateKey) -> str:
    """A PKCS#10 request that says nothing but that its maker has the key; DER in base64."""
    digest: hashes.HashAlgorithm | None = hashes.SHA256()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        digest = _DIGESTS[key.curve.key_size]
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        digest = None
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(key, digest)  # type: ignore[arg-type]  # ed25519 wants None
    return base64.b64encode(request.public_bytes(serialization.Encoding.DER)).decode()
