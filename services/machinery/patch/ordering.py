"""The order of a merged list: as the client wants it, with what only the server has in between."""

from collections.abc import Callable, Sequence
from typing import Any


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
    asked = [item for item in items if identify(item) in wanted]
    asked.sort(key=lambda item: wanted.index(identify(item)))
    others = [item for item in items if identify(item) not in wanted]
    others.sort(key=lambda item: _place(live, identify(item)))
    result = list(asked)
    at = 0
    for item in others:
        place = _place(live, identify(item))
        while at < len(result) and not _behind(live, identify(result[at]), place):
            at += 1
        result.insert(at, item)
        at += 1
    return result


def _place(live: Sequence[Any], identity: Any) -> int:
    return live.index(identity) if identity in live else len(live)


def _behind(live: Sequence[Any], identity: Any, place: int) -> bool:
    return identity in live and live.index(identity) > place
