"""A range of numbers, each with at most one holder."""

import secrets
from collections.abc import Hashable, MutableMapping
from itertools import chain

_TRIES = 16


class Exhausted(Exception):
    """Everything in the range is held."""


class Taken(Exception):
    """Somebody else holds it."""


class Pool:
    """Numbers from ``first`` up to and including ``last``.

    Whoever asks for none gets one from ``free`` upwards, and one below only when those are all
    held. Pools that overlap share their ``holders``.
    """

    def __init__(
        self,
        first: int,
        last: int,
        free: int | None = None,
        holders: MutableMapping[int, Hashable] | None = None,
    ) -> None:
        self.first = first
        self.last = last
        self._free = first if free is None else free
        self._holders = {} if holders is None else holders
        self._heirs: dict[int, Hashable] = {}

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    def holder(self, number: int) -> Hashable | None:
        """Who holds it; None when nobody does."""
        return self._holders.get(number)

    def take(self, number: int, holder: Hashable) -> bool:
        """Hold ``number``; False when ``holder`` held it before; Taken when another does."""
        current = self._holders.get(number)
        if current is None:
            self._holders[number] = holder
            return True
        if current != holder:
            raise Taken(number)
        return False

    def observe(self, number: int, holder: Hashable) -> None:
        """``holder`` has it, as the store says: now, or as soon as another here lets go of it."""
        if self._holders.setdefault(number, holder) != holder:
            self._heirs[number] = holder

    def choose(self, holder: Hashable) -> int:
        """Hold any free number: a random one, so that a freed one is not reused soon."""
        size = self.last - self._free + 1
        tries = _TRIES if size > 0 else 0
        guesses = (self._free + secrets.randbelow(size) for _ in range(tries))
        above, below = range(self._free, self.last + 1), range(self.first, self._free)
        for number in chain(guesses, above, below):
            if number not in self._holders:
                self._holders[number] = holder
                return number
        raise Exhausted

    def release(self, number: int, holder: Hashable) -> None:
        """Free ``number`` if ``holder`` holds it."""
        if self._heirs.get(number) == holder:
            del self._heirs[number]
        elif self._holders.get(number) == holder:
            del self._holders[number]
            heir = self._heirs.pop(number, None)
            if heir is not None:
                self._holders[number] = heir


def band(size: int, parts: int, most: int, least: int = 16) -> int:
    """How many numbers at the start of a range are kept for those who ask for one by name."""
    return 0 if size < least else min(max(size // parts, least), most)
