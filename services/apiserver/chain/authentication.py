"""Who asks: each way of showing it in turn, and nobody at the end."""

from typing import Protocol

from pilothouse.services.apiserver.chain.tokens import InvalidToken
from pilothouse.services.apiserver.requests import User
from pilothouse.services.machinery.errors import Unauthorized

ANONYMOUS = User(name="system:anonymous", groups=("system:unauthenticated",))
ANONYMOUS_PATHS = ("/healthz", "/livez", "/readyz", "/version")
_BEARER = "bearer "


class Tokens(Protocol):
    """Recognizes bearer tokens."""

    def recognize(self, token: str) -> User:
        """The user who shows it; InvalidToken when it is nobody's."""


class Authentication:
    """Certificate first, then the bearer token, then anonymous where that is enough."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def authenticate(self, certified: User | None, authorization: str, path: str) -> User:
        """The user behind a request.

        Args:
            certified: who the verified client certificate names, if one was shown.
            authorization: the header of that name, empty where absent.
            path: the request's path, for those that anybody may ask.

        Raises:
            Unauthorized: no credential, or one that is not valid.
        """
        if certified is not None:
            return certified
        if authorization[: len(_BEARER)].lower() == _BEARER:
            try:
                return self._tokens.recognize(authorization[len(_BEARER) :].strip())
            except InvalidToken:
                raise Unauthorized("Unauthorized") from None
        if not authorization and is_public(path):
            return ANONYMOUS
        raise Unauthorized("Unauthorized")


def is_public(path: str) -> bool:
    """Whether anybody may ask for this path: health and version."""
    return any(path == public or path.startswith(public + "/") for public in ANONYMOUS_PATHS)
