"""Let in who is known and allowed: a client certificate, or a token that the API server knows."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from pilothouse.services.kubelet.access import attributes
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clientcerts import Judge, shown_over
from pilothouse.services.runtime.door.users import NOBODY, User, bearer_of

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Reviewer(Protocol):
    """The API server, as the judge of users."""

    async def user_of(self, token: str) -> User | None: ...
    async def allows(self, user: User, verb: str, subresource: str) -> bool: ...


class Door:
    """One check before every answer.

    ``tokens`` and ``anonymous``: whether they are asked at all. ``reviewer`` None: whoever is
    known may do everything.
    """

    def __init__(
        self,
        judge: Judge[User],
        tokens: Reviewer | None,
        reviewer: Reviewer | None,
        *,
        anonymous: bool,
    ) -> None:
        self._judge = judge
        self._tokens = tokens
        self._reviewer = reviewer
        self._anonymous = anonymous
        self._log = telemetry.logger(part="access")

    async def check(self, request: web.Request) -> web.Response | None:
        """Why not; None when the request may go on."""
        try:
            user = await self._who(request)
        except ApiError as error:
            self._log.warning("token not reviewed", error=error.message)
            user = None
        if user is None:
            return _refusal(401, "Unauthorized")
        if self._reviewer is None:
            return None
        verb = attributes.verb_of(request.method)
        asked = attributes.subresources_of(request.path)
        for subresource in asked:
            try:
                if await self._reviewer.allows(user, verb, subresource):
                    return None
            except ApiError as error:
                self._log.warning("access not reviewed", user=user.name, error=error.message)
                return _refusal(500, attributes.undecided(user.name, verb, subresource))
        return _refusal(403, attributes.forbidden(user.name, verb, asked))

    async def _who(self, request: web.Request) -> User | None:
        shown = shown_over(request.transport)
        user = self._judge.user(shown)
        if user is not None:
            return user
        token = bearer_of(request.headers.get("Authorization", ""))
        if token and self._tokens is not None:
            return await self._tokens.user_of(token)
        return NOBODY if self._anonymous and not shown and not token else None


def _refusal(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text)
