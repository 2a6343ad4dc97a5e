"""Who asks, by client certificate or by a token the API server knows, and whether they may."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from pilothouse.services.machinery.errors import ApiError, Forbidden, Unauthorized
from pilothouse.services.machinery.resources import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import Clock

KEPT_MAX = 1024
KEPT_SECONDS = 10.0
AUTHENTICATED = "system:authenticated"
MASTERS = "system:masters"
_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class User:
    """Whoever asks."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


NOBODY = User("system:anonymous", groups=("system:unauthenticated",))


def named(certificate: x509.Certificate) -> User | None:
    """The common name is the user, every organization a group."""
    subject = certificate.subject
    names = [str(part.value) for part in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    if not names or not names[0]:
        return None
    return User(names[0], groups=(*(str(part.value) for part in groups), AUTHENTICATED))


class Access:
    """The API server's judgement; answers are kept for some seconds."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock
        self._kept: dict[tuple[Any, ...], tuple[float, Any]] = {}

    async def who(self, certified: User | None, authorization: str) -> User:
        """Unauthorized for a token that nobody knows."""
        if certified is not None:
            return certified
        if not authorization.lower().startswith(_BEARER):
            return NOBODY
        token = authorization[len(_BEARER) :].strip()
        key = ("token", hashlib.sha256(token.encode()).digest())
        known = self._find(key)
        if known is None:
            body = {
                "apiVersion": TOKEN_REVIEWS.api_version,
                "kind": TOKEN_REVIEWS.kind,
                "spec": {"token": token},
            }
            told = msgspec.json.decode(await self._objects.create(TOKEN_REVIEWS, "", body))
            known = self._keep(key, told.get("status") or {})
        if not known.get("authenticated"):
            raise Unauthorized("Unauthorized")
        return _user(known.get("user") or {})

    async def check(self, user: User, verb: str, path: str) -> None:
        """Forbidden, in upstream's words."""
        if MASTERS in user.groups:
            return
        key = ("path", user.name, user.groups, verb, path)
        allowed = self._find(key)
        if allowed is None:
            allowed = self._keep(key, await self._allowed(user, verb, path))
        if not allowed:
            raise Forbidden(f'forbidden: User "{user.name}" cannot {verb} path "{path}"')

    async def _allowed(self, user: User, verb: str, path: str) -> bool:
        spec: dict[str, Any] = {
            "user": user.name,
            "groups": list(user.groups),
            "extra": {name: list(values) for name, values in user.extra.items()},
            "nonResourceAttributes": {"path": path, "verb": verb},
        }
        if user.uid:
            spec["uid"] = user.uid
        body = {
            "apiVersion": SUBJECT_ACCESS_REVIEWS.api_version,
            "kind": SUBJECT_ACCESS_REVIEWS.kind,
            "spec": spec,
        }
        try:
            answer = await self._objects.create(SUBJECT_ACCESS_REVIEWS, "", body)
        except ApiError as error:
            raise Forbidden(f"access could not be reviewed: {error.message}") from error
        return bool((msgspec.json.decode(answer).get("status") or {}).get("allowed"))

    def _find(self, key: tuple[Any, ...]) -> Any:
        found = self._kept.get(key)
        return None if found is None or self._clock.monotonic() >= found[0] else found[1]

    def _keep(self, key: tuple[Any, ...], answer: Any) -> Any:
        if len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (self._clock.monotonic() + KEPT_SECONDS, answer)
        return answer


def _user(told: dict[str, Any]) -> User:
    extra = told.get("extra") or {}
    return User(
        name=told.get("username") or "",
        uid=told.get("uid") or "",
        groups=tuple(told.get("groups") or ()),
        extra={name: tuple(values) for name, values in extra.items()},
    )
