"""Who signs service account tokens, as OpenID Connect tells it: anybody can verify them by it."""

import base64
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import rsa

from pilothouse.services.apiserver.chain.tokens import key_id
from pilothouse.services.apiserver.rest import replies
from pilothouse.services.apiserver.rest.exchange import Exchange
from pilothouse.services.runtime import web

CONFIGURATION = "/.well-known/openid-configuration"
KEYS = "/openid/v1/jwks"
_KEPT = {"Cache-Control": "public, max-age=3600"}


class Issuer:
    """The two documents; none when the issuer has no ``https`` address."""

    def __init__(self, issuer: str, jwks_uri: str, keys: Sequence[rsa.RSAPublicKey]) -> None:
        told = issuer.startswith("https://")
        self.paths: Sequence[str] = (CONFIGURATION, KEYS) if told else ()
        self._configuration = replies.encode(
            {
                "issuer": issuer,
                "jwks_uri": jwks_uri,
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )
        self._keys = replies.encode(
            {"keys": list({key_id(key): _jwk(key) for key in keys}.values())}
        )

    async def reply(self, exchange: Exchange, segments: Sequence[str]) -> web.Response | None:
        """The document at that path; None where there is none."""
        del exchange
        path = "/" + "/".join(segments)
        if path not in self.paths:
            return None
        if path == KEYS:
            headers = {"Content-Type": "application/jwk-set+json", **_KEPT}
            return web.Response(body=self._keys, headers=headers)
        headers = {"Content-Type": "application/json", **_KEPT}
        return web.Response(body=self._configuration, headers=headers)


def _jwk(key: rsa.RSAPublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    return {
        "use": "sig",
        "kty": "RSA",
        "kid": key_id(key),
        "alg": "RS256",
        "n": _number(numbers.n),
        "e": _number(numbers.e),
    }


def _number(value: int) -> str:
    octets = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
