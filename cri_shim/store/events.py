"""What happens to sandboxes and containers, told to whoever listens."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

from pilothouse.services.machinery.errors import TooManyRequests

CREATED, STARTED, STOPPED, DELETED = 0, 1, 2, 3
"""As CRI numbers them."""
WAITING_MAX = 1000
"""Events that one listener may be behind; whoever is later is told so, and lists anew."""


class Event(NamedTuple):
    """``id`` of a container, or of the sandbox itself; ``at`` in nanoseconds since 1970."""

    type: int
    id: str
    sandbox_id: str
    at: int


class Events:
    """Any number of listeners; nothing is kept for those who come later."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[Event]] = set()
        self._late: set[asyncio.Queue[Event]] = set()

    def tell(self, event: Event) -> None:
        for queue in self._listeners:
            if queue.full():
                self._late.add(queue)
            else:
                queue.put_nowait(event)

    async def listen(self) -> AsyncIterator[Event]:
        """From now on; TooManyRequests for who does not keep up."""
        queue: asyncio.Queue[Event] = asyncio.Queue(WAITING_MAX)
        self._listeners.add(queue)
        try:
            while True:
                yield await queue.get()
                if queue in self._late:
                    raise TooManyRequests("events come faster than they are taken: list anew")
        finally:
            self._listeners.discard(queue)
            self._late.discard(queue)
