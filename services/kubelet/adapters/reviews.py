"""Ask the API server who a token is, and who may ask this kubelet what; keep its answers."""

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from pilothouse.services.kubelet.access.attributes import User
from pilothouse.services.machinery.resources import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import Clock

KEPT_MAX = 4096

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long answers are kept, in seconds."""

    token: float
    allowed: float
    refused: float


@dataclass(slots=True)
class _Answers(Generic[T]):
    """Of a bounded number, the newest."""

    clock: Clock
    _kept: dict[Hashable, tuple[float, T]] = field(default_factory=dict)

    def find(self, key: Hashable) -> tuple[T] | None:
        """The answer in a tuple; None where there is none, or not any more."""
        found = self._kept.get(key)
        if found is None or self.clock.monotonic() >= found[0]:
            return None
        return (found[1],)

    def keep(self, key: Hashable, answer: T, seconds: float) -> None:
        self._kept.pop(key, None)
        if len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (self.clock.monotonic() + seconds, answer)


class Reviews:
    """Over the API server's own reviews. Calls raise ApiError when it does not answer."""

    def __init__(self, objects: Objects, node: str, lifetimes: Lifetimes, clock: Clock) -> None:
        self._objects = objects
        self._node = node
        self._lifetimes = lifetimes
        self._users: _Answers[User | None] = _Answers(clock)
        self._verdicts: _Answers[bool] = _Answers(clock)

    async def user_of(self, token: str) -> User | None:
        """Whose token this is; None when nobody's."""
        key = hashlib.sha256(token.encode()).digest()
        known = self._users.find(key)
        if known is not None:
            return known[0]
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token},
        }
        told = msgspec.json.decode(await self._objects.create(TOKEN_REVIEWS, "", body))
        status = told.get("status") or {}
        user = _user(status.get("user") or {}) if status.get("authenticated") else None
        self._users.keep(key, user, self._lifetimes.token)
        return user

    async def allows(self, user: User, verb: str, subresource: str) -> bool:
        """Whether this user may do that to this node."""
        key = (user.name, user.groups, tuple(sorted(user.extra.items())), verb, subresource)
        known = self._verdicts.find(key)
        if known is not None:
            return known[0]
        spec: dict[str, Any] = {
            "user": user.name,
            "groups": list(user.groups),
            "extra": {name: list(values) for name, values in user.extra.items()},
            "resourceAttributes": {
                "version": "v1",
                "resource": "nodes",
                "name": self._node,
                "subresource": subresource,
                "verb": verb,
            },
        }
        if user.uid:
            spec["uid"] = user.uid
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": spec,
        }
        told = msgspec.json.decode(await self._objects.create(SUBJECT_ACCESS_REVIEWS, "", body))
        allowed = bool((told.get("status") or {}).get("allowed"))
        lives = self._lifetimes.allowed if allowed else self._lifetimes.refused
        self._verdicts.keep(key, allowed, lives)
        return allowed


def _user(told: dict[str, Any]) -> User:
    extra = told.get("extra") or {}
    return User(
        name=told.get("username") or "",
        uid=told.get("uid") or "",
        groups=tuple(told.get("groups") or ()),
        extra={name: tuple(values) for name, values in extra.items()},
    )
