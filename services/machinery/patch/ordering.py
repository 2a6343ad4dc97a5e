"""The order of a merged list: as the client wants it, with what only the server has in between."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import msgspec

_Places = Mapping[Hashable, int]


def arrange(
    items: Sequence[Any],
    identify: Callable[[Any], Any],
    wanted: Sequence[Any],
    live: Sequence[Any],
) -> list[Any]:
    """``items`` with those in ``wanted`` in that order.

    The others keep the order they had in ``live`` and stand before the first of the wanted that
    stood behind them there.
    """
    asked_places, live_places = _places(wanted), _places(live)
    marked = [(mark(identify(item)), item) for item in items]
    asked = [pair for pair in marked if pair[0] in asked_places]
    asked.sort(key=lambda pair: asked_places[pair[0]])
    last = len(live)
    others = [pair for pair in marked if pair[0] not in asked_places]
    others.sort(key=lambda pair: live_places.get(pair[0], last))
    result = []
    at = 0
    for identity, item in others:
        place = live_places.get(identity, last)
        while at < len(asked) and live_places.get(asked[at][0], -1) <= place:
            result.append(asked[at][1])
            at += 1
        result.append(item)
    return result + [item for _, item in asked[at:]]


def mark(value: Any) -> Hashable:
    """A JSON value as the key of a table: equal for equal values."""
    if isinstance(value, str | int | float):
        return value
    return msgspec.json.encode(value, order="deterministic")


def _places(values: Sequence[Any]) -> _Places:
    """Where each value stands first."""
    places: dict[Hashable, int] = {}
    for place, value in enumerate(values):
        places.setdefault(mark(value), place)
    return places
