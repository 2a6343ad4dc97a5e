"""The keys of service account tokens, from files in PEM."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pilothouse.services.apiserver.config import Pki


def read(pki: Pki) -> tuple[rsa.RSAPrivateKey, list[rsa.RSAPublicKey]]:
    """The key that signs, and all that tokens may be signed with; TypeError on other kinds."""
    signing = serialization.load_pem_private_key(pki.account_signing_key.read_bytes(), None)
    if not isinstance(signing, rsa.RSAPrivateKey):
        raise TypeError(f"{pki.account_signing_key} holds no RSA key")
    return signing, [signing.public_key(), *map(_public_key, pki.account_keys)]


def _public_key(path: Path) -> rsa.RSAPublicKey:
    key = serialization.load_pem_public_key(path.read_bytes())
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError(f"{path} holds no RSA key")
    return key
