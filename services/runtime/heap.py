"""Memory that was needed for a moment, given back to the machine."""

import asyncio
import ctypes

SECONDS_LATER = 1.0


class Heap:
    """Gives back once, a while after the first of those who ask: more may need it until then."""

    def __init__(self) -> None:
        self._due: asyncio.TimerHandle | None = None
        # Only glibc keeps what was freed, and only there is something to call.
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)

    def give_back_later(self) -> None:
        """Much has been used, and freed again."""
        if self._due is None and self._trim is not None:
            self._due = asyncio.get_running_loop().call_later(SECONDS_LATER, self._give_back)

    def _give_back(self) -> None:
        self._due = None
        if self._trim is not None:
            self._trim(0)
