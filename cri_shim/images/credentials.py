"""Who to be at a registry, and what its challenges ask for."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from pilothouse.services.machinery.errors import InternalError
from pilothouse.services.machinery.images import Reference

_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(r"(?:^|,)\s*(Basic|Bearer)(?:\s+|$)", re.IGNORECASE)
CLIENT_ID = "pilothouse"


@dataclass(frozen=True, slots=True)
class Credentials:
    """As the kubelet passes them with a pull; all empty is nobody."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    @property
    def basic(self) -> str:
        """The value of an ``Authorization`` header, empty for nobody."""
        if not self.username and not self.password:
            return ""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()


NOBODY = Credentials()


@dataclass(frozen=True, slots=True)
class Given:
    """CRI's ``AuthConfig``, field by field."""

    username: str = ""
    password: str = ""
    auth: str = ""
    server_address: str = ""
    identity_token: str = ""
    registry_token: str = ""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One ``WWW-Authenticate``: its scheme in lower case, and its parameters."""

    scheme: str
    parameters: Mapping[str, str]


def read(given: Given, host: str) -> Credentials:
    """The credentials, when they are meant for ``host``; ValueError when they can not be read."""
    if given.server_address and not _is_for(given.server_address, host):
        return NOBODY
    if given.username or given.password:
        return Credentials(given.username, given.password)
    if given.identity_token or given.registry_token:
        return Credentials("", "", given.identity_token, given.registry_token)
    if given.auth:
        try:
            plain = base64.b64decode(given.auth).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError(f"auth is no base64: {error}") from error
        user, colon, password = plain.partition(":")
        if not colon:
            raise ValueError("invalid decoded auth: no colon")
        return Credentials(user, password.strip("\x00"))
    return NOBODY


def _is_for(address: str, host: str) -> bool:
    named = urlsplit(address if "://" in address else f"https://{address}").netloc
    aliases = {"docker.io", "index.docker.io", "registry-1.docker.io"}
    return named == host or {named, host} <= aliases


def challenges(header: str) -> list[Challenge]:
    """All of one header, in their order; of what is not understood nothing."""
    marks = list(_SCHEME.finditer(header))
    ends = [*(mark.start() for mark in marks[1:]), len(header)]
    found = []
    for mark, end in zip(marks, ends, strict=False):
        pairs = {
            name.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain
            for name, quoted, plain in _PARAMETER.findall(header[mark.end() : end])
        }
        found.append(Challenge(mark[1].lower(), pairs))
    return found


def token_query(challenge: Challenge, reference: Reference, who: Credentials) -> dict[str, str]:
    """What the token server is asked, as query or as form."""
    query = {"scope": challenge.parameters.get("scope") or f"repository:{reference.path}:pull"}
    if "service" in challenge.parameters:
        query["service"] = challenge.parameters["service"]
    if who.identity_token:
        query |= {
            "grant_type": "refresh_token",
            "refresh_token": who.identity_token,
            "client_id": CLIENT_ID,
        }
    elif who.username:
        query["account"] = who.username
    return query


def token_url(challenge: Challenge, query: Mapping[str, str]) -> str:
    """The URL of a token server asked with GET."""
    realm = challenge.parameters.get("realm", "")
    glue = "&" if "?" in realm else "?"
    return f"{realm}{glue}{urlencode(query)}"


def token_of(content: bytes) -> str:
    """What a token server answered; InternalError when no token is in it."""
    try:
        body = json.loads(content)
        found = body.get("token") or body.get("access_token")
    except (ValueError, AttributeError) as error:
        raise InternalError("the token server's answer is no JSON object") from error
    if not isinstance(found, str) or not found:
        raise InternalError("authorization server did not include a token in the response")
    return found
