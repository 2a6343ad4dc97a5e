"""The keys of service account tokens, from files: who issues, who judges, and who tells of it."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pilothouse.services.apiserver.chain.accounts import Accounts
from pilothouse.services.apiserver.chain.ports import Live
from pilothouse.services.apiserver.chain.tokens import Signer, Verifier
from pilothouse.services.apiserver.config import Config
from pilothouse.services.apiserver.rest import issuer
from pilothouse.services.runtime.clock import Clock


def load(config: Config, live: Live, clock: Clock) -> tuple[Accounts, issuer.Issuer]:
    """The issuer and judge of tokens, and the documents others verify them by."""
    pki, issuers = config.pki, config.service_account_issuers
    signing = serialization.load_pem_private_key(pki.account_signing_key.read_bytes(), None)
    if not isinstance(signing, rsa.RSAPrivateKey):
        raise TypeError(f"{pki.account_signing_key} holds no RSA key")
    keys = [signing.public_key(), *map(_public_key, pki.account_keys)]
    accounts = Accounts(live, Signer(signing, issuers[0]), Verifier(keys, issuers), clock)
    address = f"{config.advertise_address}:{config.secure_port}"
    jwks_uri = config.service_account_jwks_uri or f"https://{address}{issuer.KEYS}"
    return accounts, issuer.Issuer(issuers[0], jwks_uri, keys)


def _public_key(path: Path) -> rsa.RSAPublicKey:
    key = serialization.load_pem_public_key(path.read_bytes())
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError(f"{path} holds no RSA key")
    return key
