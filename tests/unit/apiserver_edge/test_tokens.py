"""Tokens of service accounts: what is signed, what is believed."""

import base64
import json
from dataclasses import replace

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from pilothouse.services.apiserver.chain.authentication import ANONYMOUS, Authentication
from pilothouse.services.apiserver.chain.certificates import user_of_subject
from pilothouse.services.apiserver.chain.tokens import (
    ISSUER,
    Binding,
    Claims,
    InvalidToken,
    Signer,
    Verifier,
)
from pilothouse.services.apiserver.requests import User
from pilothouse.services.apiserver.rest.issuer import CONFIGURATION, KEYS, Issuer
from pilothouse.services.machinery.errors import Unauthorized

KEY = rsa.generate_private_key(65537, 2048)
CLAIMS = Claims("ns", Binding("bot", "u1"), (ISSUER,), 1000, 2000, "id-1", pod=Binding("p", "u2"))


@pytest.fixture
def token():
    return Signer(KEY).sign(CLAIMS)


def verifier(key=KEY, issuer=ISSUER):
    return Verifier([key.public_key()], (issuer,))


def test_what_was_signed_is_read_back(token):
    assert verifier().verify(token, 1500, [ISSUER]) == CLAIMS


def test_the_claims_are_those_of_kubernetes(token):
    payload = CLAIMS.payload(ISSUER)
    assert payload["sub"] == "system:serviceaccount:ns:bot"
    assert payload["kubernetes.io"] == {
        "namespace": "ns",
        "pod": {"name": "p", "uid": "u2"},
        "serviceaccount": {"name": "bot", "uid": "u1"},
    }
    assert token.count(".") == 2


@pytest.mark.parametrize(
    ("now", "audiences"),
    [(2011, [ISSUER]), (900, [ISSUER]), (1500, ["other"]), (1500, [])],
)
def test_out_of_time_or_for_others(token, now, audiences):
    with pytest.raises(InvalidToken):
        verifier().verify(token, now, audiences)


def test_other_keys_and_issuers(token):
    with pytest.raises(InvalidToken):
        verifier(rsa.generate_private_key(65537, 2048)).verify(token, 1500, [ISSUER])
    with pytest.raises(InvalidToken):
        verifier(issuer="https://elsewhere").verify(token, 1500, [ISSUER])


@pytest.mark.parametrize(
    "text", ["", "a", "a.b", "a.b.c", "....", "é.é.é", "x" * 20_000, "e30.e30.e30"]
)
def test_rubbish_is_refused(text):
    with pytest.raises(InvalidToken):
        verifier().verify(text, 1500, [ISSUER])


def test_an_unsigned_token_is_refused(token):
    _, payload, _ = token.split(".")
    with pytest.raises(InvalidToken):
        verifier().verify(f"eyJhbGciOiJub25lIn0.{payload}.", 1500, [ISSUER])


def test_claims_without_an_account_are_refused():
    class Odd(Claims):
        def payload(self, issuer):
            full = super().payload(issuer)
            del full["kubernetes.io"]
            return full

    odd = Odd(**{name: getattr(CLAIMS, name) for name in CLAIMS.__slots__})
    with pytest.raises(InvalidToken):
        verifier().verify(Signer(KEY).sign(odd), 1500, [ISSUER])


def test_two_tokens_of_one_account_differ():
    assert Signer(KEY).sign(CLAIMS) != Signer(KEY).sign(replace(CLAIMS, id="id-2"))


BOT = User("system:serviceaccount:ns:bot")


class FakeTokens:
    """Knows one token."""

    def recognize(self, token):
        if token == "good":
            return BOT
        raise InvalidToken("no")


def test_a_certificate_counts_before_a_token():
    chain = Authentication(FakeTokens())
    alice = User("alice")
    assert chain.authenticate(alice, "Bearer good", "/api") is alice
    assert chain.authenticate(None, "Bearer good", "/api") is BOT
    assert chain.authenticate(None, "bearer good ", "/api") is BOT


@pytest.mark.parametrize("path", ["/healthz", "/livez/ping", "/readyz", "/version"])
def test_anybody_may_ask_for_health(path):
    assert Authentication(FakeTokens()).authenticate(None, "", path) is ANONYMOUS


@pytest.mark.parametrize(
    ("header", "path"),
    [("", "/api"), ("", "/healthzz"), ("Bearer bad", "/healthz"), ("Basic eDp5", "/version")],
)
def test_nobody_else_is_let_in(header, path):
    with pytest.raises(Unauthorized):
        Authentication(FakeTokens()).authenticate(None, header, path)


def test_users_of_certificates():
    user = user_of_subject("alice", ("a", "b"))
    assert user is not None
    assert (user.name, user.groups) == ("alice", ("a", "b", "system:authenticated"))
    assert user_of_subject("", ("system:masters",)) is None


def test_payloads_are_json(token):
    assert msgspec.json.decode(json.dumps(CLAIMS.payload(ISSUER)).encode())["jti"] == "id-1"
    assert token


async def document(issuer, path):
    return (await issuer.reply(None, path.strip("/").split("/"))).body


async def test_anybody_can_verify_by_the_published_keys(token):
    issuer = Issuer(ISSUER, "https://10.0.0.1:6443/openid/v1/jwks", [KEY.public_key()] * 2)
    configuration = json.loads(await document(issuer, CONFIGURATION))
    assert configuration["issuer"] == ISSUER
    assert configuration["jwks_uri"].endswith(KEYS)
    (key,) = json.loads(await document(issuer, KEYS))["keys"]
    head, payload, signature = token.split(".")
    assert json.loads(unpadded(head))["kid"] == key["kid"]
    numbers = (int.from_bytes(unpadded(key[part]), "big") for part in ("e", "n"))
    rsa.RSAPublicNumbers(*numbers).public_key().verify(
        unpadded(signature), f"{head}.{payload}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )


async def test_an_issuer_without_https_is_not_published():
    issuer = Issuer("pilothouse", "", [KEY.public_key()])
    assert issuer.paths == ()
    assert await issuer.reply(None, ["openid", "v1", "jwks"]) is None


def test_several_issuers_are_accepted(token):
    judge = Verifier([KEY.public_key()], ("https://new", ISSUER))
    assert judge.verify(token, 1500, [ISSUER]).account == CLAIMS.account


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
