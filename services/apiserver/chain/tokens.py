"""Service account tokens: JSON Web Tokens signed RS256, bound to an account and maybe a pod."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ISSUER = "https://kubernetes.default.svc.cluster.local"
TOKEN_BYTES_MAX = 16 * 1024
# Clocks of issuer and verifier are one machine's or NTP's.
LEEWAY_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Binding:
    """An object that a token dies with."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says; times in seconds since 1970."""

    namespace: str
    account: Binding
    audiences: tuple[str, ...]
    issued: int
    expires: int
    id: str
    pod: Binding | None = None
    node: Binding | None = None
    secret: Binding | None = None

    def payload(self, issuer: str) -> dict[str, Any]:
        """The claims as the token carries them."""
        private: dict[str, Any] = {"namespace": self.namespace}
        bound = {
            "node": self.node,
            "pod": self.pod,
            "secret": self.secret,
            "serviceaccount": self.account,
        }
        for kind, binding in bound.items():
            if binding is not None:
                private[kind] = {"name": binding.name, "uid": binding.uid}
        return {
            "aud": list(self.audiences),
            "exp": self.expires,
            "iat": self.issued,
            "iss": issuer,
            "jti": self.id,
            "kubernetes.io": private,
            "nbf": self.issued,
            "sub": f"system:serviceaccount:{self.namespace}:{self.account.name}",
        }


class InvalidToken(Exception):
    """The token is not one of ours, or no longer valid; the text never holds the token."""


class Signer:
    """Signs with a private key. Signing takes about a millisecond: call it off the loop."""

    def __init__(self, key: rsa.RSAPrivateKey, issuer: str = ISSUER) -> None:
        self._key = key
        self._issuer = issuer
        self._head = _encode({"alg": "RS256", "kid": key_id(key.public_key()), "typ": "JWT"})

    def sign(self, claims: Claims) -> str:
        """The compact form."""
        signed = self._head + b"." + _encode(claims.payload(self._issuer))
        signature = self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


class Verifier:
    """Verifies against public keys, whichever of them the token names; ``issuers`` are ours."""

    def __init__(
        self, keys: Sequence[rsa.RSAPublicKey], issuers: Sequence[str] = (ISSUER,)
    ) -> None:
        self._keys = {key_id(key): key for key in keys}
        self.issuers = tuple(issuers)

    def verify(self, token: str, now: float, audiences: Sequence[str]) -> Claims:
        """The claims of a token that is ours, in time and for one of ``audiences``.

        Raises:
            InvalidToken: with the reason.
        """
        payload = self._signed_payload(token)
        claims = _claims(payload)
        if payload.get("iss") not in self.issuers:
            raise InvalidToken("the issuer is another one")
        if now >= claims.expires + LEEWAY_SECONDS:
            raise InvalidToken("the token has expired")
        if now + LEEWAY_SECONDS < payload.get("nbf", 0):
            raise InvalidToken("the token is not valid yet")
        if not set(claims.audiences) & set(audiences):
            raise InvalidToken("the token is meant for another audience")
        return claims

    def _signed_payload(self, token: str) -> dict[str, Any]:
        if len(token) > TOKEN_BYTES_MAX or token.count(".") != 2:  # noqa: PLR2004 - three parts
            raise InvalidToken("this is no JSON Web Token")
        head_text, payload_text, signature_text = token.split(".")
        head = _decode(head_text)
        if head.get("alg") != "RS256":
            raise InvalidToken("the algorithm is not RS256")
        key = self._keys.get(head.get("kid", ""))
        if key is None:
            raise InvalidToken("the token names no key of ours")
        try:
            key.verify(
                _unpadded(signature_text),
                f"{head_text}.{payload_text}".encode(),
                padding.PKCS1v15(),
                hashes.SHA256(),
            )
        except InvalidSignature:
            raise InvalidToken("the signature is wrong") from None
        return _decode(payload_text)


def key_id(key: rsa.RSAPublicKey) -> str:
    """The ``kid``: SHA-256 of the key's DER form, as upstream has it."""
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def unverified_issuer(token: str) -> str:
    """Who the token says issued it, before anything was checked."""
    try:
        return str(_decode(token.split(".")[1]).get("iss", ""))
    except (IndexError, InvalidToken):
        return ""


def _claims(payload: Mapping[str, Any]) -> Claims:
    try:
        private = payload["kubernetes.io"]
        audiences = payload["aud"]
        read: Callable[[str], Binding | None] = lambda kind: (  # noqa: E731 - three uses below
            Binding(private[kind]["name"], private[kind]["uid"]) if kind in private else None
        )
        account = read("serviceaccount")
        if account is None:
            raise InvalidToken("the token names no service account")
        return Claims(
            namespace=private["namespace"],
            account=account,
            audiences=(audiences,) if isinstance(audiences, str) else tuple(audiences),
            issued=int(payload.get("iat", 0)),
            expires=int(payload["exp"]),
            id=str(payload.get("jti", "")),
            pod=read("pod"),
            node=read("node"),
            secret=read("secret"),
        )
    except (KeyError, TypeError, ValueError):
        raise InvalidToken("claims are missing or of a wrong type") from None


def _encode(value: Mapping[str, Any]) -> bytes:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=")


def _decode(text: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(_unpadded(text))
    except (msgspec.DecodeError, UnicodeError):
        raise InvalidToken("this is no JSON Web Token") from None
    if not isinstance(value, dict):
        raise InvalidToken("this is no JSON Web Token")
    return value


def _unpadded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidToken("this is no JSON Web Token") from None
