"""A range of numbers, each with at most one holder."""

import secrets
from collections.abc import Hashable
from itertools import chain

_TRIES = 16


class Exhausted(Exception):
    """Everything in the range is held."""


class Taken(Exception):
    """Somebody else holds it."""


class Pool:
    """Numbers from ``first`` up to and including ``last``; unasked ones from ``free`` upwards."""

    def __init__(self, first: int, last: int, free: int | None = None) -> None:
        self.first = first
        self.last = last
        self._free = first if free is None else free
        self._holders: dict[int, Hashable] = {}

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    def take(self, number: int, holder: Hashable) -> bool:
        """Hold ``number``; False when ``holder`` held it before; Taken when another does."""
        current = self._holders.get(number)
        if current is None:
            self._holders[number] = holder
            return True
        if current != holder:
            raise Taken(number)
        return False

    def choose(self, holder: Hashable) -> int:
        """Hold any free number: a random one, so that a freed one is not reused soon."""
        size = self.last - self._free + 1
        guesses = (self._free + secrets.randbelow(size) for _ in range(_TRIES))
        for number in chain(guesses, range(self.first, self.last + 1)):
            if number not in self._holders:
                self._holders[number] = holder
                return number
        raise Exhausted

    def release(self, number: int, holder: Hashable) -> None:
        """Free ``number`` if ``holder`` holds it."""
        if self._holders.get(number) == holder:
            del self._holders[number]
