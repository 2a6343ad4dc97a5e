"""What a client may do that comes with a token: once, and soon."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass

from pilothouse.services.machinery.errors import NotFound, TooManyRequests
from pilothouse.services.runtime.clock import Clock

TOKENS_MAX = 1000
TOKEN_SECONDS = 60.0
TOKEN_BYTES = 16


@dataclass(frozen=True, slots=True)
class Wish:
    """``kind`` is exec, attach or portforward; ``id`` a container's, or a sandbox's."""

    kind: str
    id: str
    command: tuple[str, ...] = ()
    streams: frozenset[str] = frozenset()
    ports: tuple[int, ...] = ()


class Tokens:
    """Those that nobody has used yet, oldest first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wishes: OrderedDict[str, tuple[float, Wish]] = OrderedDict()

    def keep(self, wish: Wish) -> str:
        """Its token; TooManyRequests when too many wait."""
        self._expire()
        if len(self._wishes) >= TOKENS_MAX:
            raise TooManyRequests("maximum number of in-flight requests exceeded")
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._wishes[token] = (self._clock.monotonic() + TOKEN_SECONDS, wish)
        return token

    def take(self, kind: str, token: str) -> Wish:
        """What it stands for, once; NotFound."""
        self._expire()
        found = self._wishes.get(token)
        if found is None or found[1].kind != kind:
            raise NotFound("no such token")
        del self._wishes[token]
        return found[1]

    def _expire(self) -> None:
        now = self._clock.monotonic()
        while self._wishes:
            token, (ends, _) = next(iter(self._wishes.items()))
            if ends > now:
                return
            del self._wishes[token]
