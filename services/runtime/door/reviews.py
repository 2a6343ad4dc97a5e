"""Ask the API server who a token is, and who may do what; keep its answers."""

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import msgspec

from pilothouse.services.machinery.resources import (
    SUBJECT_ACCESS_REVIEWS,
    TOKEN_REVIEWS,
    Resource,
)
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.door.users import User

KEPT_MAX = 4096
"""Answers of each kind."""

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
    most: int
    _kept: dict[Hashable, tuple[float, T]] = field(default_factory=dict)

    def find(self, key: Hashable) -> tuple[T] | None:
        """The answer in a tuple; None where there is none, or not any more."""
        found = self._kept.get(key)
        if found is None or self.clock.monotonic() >= found[0]:
            return None
        return (found[1],)

    def keep(self, key: Hashable, answer: T, seconds: float) -> None:
        self._kept.pop(key, None)
        if len(self._kept) >= self.most:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (self.clock.monotonic() + seconds, answer)


class Reviews:
    """Over the API server's own reviews. Calls raise ApiError when it does not answer."""

    def __init__(
        self, objects: Objects, lifetimes: Lifetimes, clock: Clock, kept_max: int = KEPT_MAX
    ) -> None:
        self._objects = objects
        self._lifetimes = lifetimes
        self._users: _Answers[User | None] = _Answers(clock, kept_max)
        self._verdicts: _Answers[bool] = _Answers(clock, kept_max)

    async def user_of(self, token: str) -> User | None:
        """Whose token this is; None when nobody's."""
        key = hashlib.sha256(token.encode()).digest()
        known = self._users.find(key)
        if known is not None:
            return known[0]
        status = await self._ask(TOKEN_REVIEWS, {"token": token})
        user = _user(status.get("user") or {}) if status.get("authenticated") else None
        self._users.keep(key, user, self._lifetimes.token)
        return user

    async def allows(
        self,
        user: User,
        kind: Literal["resourceAttributes", "nonResourceAttributes"],
        attributes: Mapping[str, str],
    ) -> bool:
        """Whether this user may do that; ``attributes`` as in a SubjectAccessReview's spec."""
        extra = tuple(sorted(user.extra.items()))
        key = (user.name, user.groups, extra, kind, tuple(sorted(attributes.items())))
        known = self._verdicts.find(key)
        if known is not None:
            return known[0]
        spec: dict[str, Any] = {
            "user": user.name,
            "groups": list(user.groups),
            "extra": {name: list(values) for name, values in user.extra.items()},
            kind: dict(attributes),
        }
        if user.uid:
            spec["uid"] = user.uid
        allowed = bool((await self._ask(SUBJECT_ACCESS_REVIEWS, spec)).get("allowed"))
        lives = self._lifetimes.allowed if allowed else self._lifetimes.refused
        self._verdicts.keep(key, allowed, lives)
        return allowed

    async def _ask(self, review: Resource, spec: dict[str, Any]) -> dict[str, Any]:
        """The status of the review."""
        body = {"apiVersion": review.api_version, "kind": review.kind, "spec": spec}
        told = msgspec.json.decode(await self._objects.create(review, "", body))
        status: dict[str, Any] = told.get("status") or {}
        return status


def _user(told: dict[str, Any]) -> User:
    extra = told.get("extra") or {}
    return User(
        name=told.get("username") or "",
        uid=told.get("uid") or "",
        groups=tuple(told.get("groups") or ()),
        extra={name: tuple(values) for name, values in extra.items()},
    )
