"""Who asks, by client certificate or by a token the API server knows, and whether they may."""

from pilothouse.services.machinery.errors import ApiError, Forbidden, Unauthorized
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.door.reviews import Lifetimes, Reviews
from pilothouse.services.runtime.door.users import NOBODY, User, bearer_of

KEPT_MAX = 512
KEPT_SECONDS = 10.0
MASTERS = "system:masters"


class Access:
    """The API server's judgement; answers are kept for some seconds."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        lifetimes = Lifetimes(KEPT_SECONDS, KEPT_SECONDS, KEPT_SECONDS)
        self._reviews = Reviews(objects, lifetimes, clock, KEPT_MAX)

    async def who(self, certified: User | None, authorization: str) -> User:
        """Unauthorized for a token that nobody knows."""
        if certified is not None:
            return certified
        token = bearer_of(authorization)
        if token is None:
            return NOBODY
        user = await self._reviews.user_of(token)
        if user is None:
            raise Unauthorized("Unauthorized")
        return user

    async def check(self, user: User, verb: str, path: str) -> None:
        """Forbidden, in upstream's words."""
        if MASTERS in user.groups:
            return
        asked = {"path": path, "verb": verb}
        try:
            allowed = await self._reviews.allows(user, "nonResourceAttributes", asked)
        except ApiError as error:
            raise Forbidden(f"access could not be reviewed: {error.message}") from error
        if not allowed:
            raise Forbidden(f'forbidden: User "{user.name}" cannot {verb} path "{path}"')
