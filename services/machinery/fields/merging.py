"""An applied configuration laid over a live value. Neither is changed; the result shares both."""

from typing import Any

from pilothouse.services.machinery.fields.elements import Unfit, element_of
from pilothouse.services.machinery.fields.types import DEDUCED, Type


def merged(kind: Type, live: Any, applied: Any) -> Any:
    """``live`` with what ``applied`` says; nothing is removed.

    A null leaves a list or a map that is merged as it is, and takes the place of all else.
    """
    if applied.__class__ is dict and live.__class__ is dict:
        if kind.is_map and not kind.atomic_map:
            return _map(kind, live, applied)
    elif applied.__class__ is list and live.__class__ is list:
        if kind.is_list and not kind.atomic_list and (applied or live):
            return _list(kind, live, applied)
    elif applied is None and live and _is_granular(kind, live):
        return live
    return applied


def _is_granular(kind: Type, value: Any) -> bool:
    if value.__class__ is dict:
        return kind.is_map and not kind.atomic_map
    return value.__class__ is list and kind.is_list and not kind.atomic_list


def _map(kind: Type, live: dict[str, Any], applied: dict[str, Any]) -> dict[str, Any]:
    result = dict(live)
    for name, value in applied.items():
        result[name] = merged(kind.at(name), live[name], value) if name in live else value
    return result


def _list(kind: Type, live: list[Any], applied: list[Any]) -> list[Any]:
    """Elements of both, in the order of ``applied`` where that has them, those of ``live`` alone
    near the neighbours they had.
    """
    return _Weave(kind, live, applied).woven()


class _Weave:
    """Two lists on their way into one, each with the place it is read at."""

    def __init__(self, kind: Type, live: list[Any], applied: list[Any]) -> None:
        self._kind = kind.item or DEDUCED
        self._live = live
        self._wanted = {element_of(kind, item): item for item in applied}
        self._found = [_element(kind, item) for item in live]
        self._present = dict(zip(self._found, live, strict=True))
        self._shared = [element for element in self._wanted if element in self._present]
        if len(self._present) < len(live):
            # What the live list has twice is replaced and not merged.
            for element in {one for one in self._found if self._found.count(one) > 1}:
                del self._present[element]
        self._result: list[Any] = []
        self._done: set[str] = set()

    def woven(self) -> list[Any]:
        found, order = self._found, list(self._wanted)
        at_live = at_wanted = 0
        while at_live < len(found) or at_wanted < len(order):
            if at_live == len(found):
                self._take(order[at_wanted])
                at_wanted += 1
                continue
            element = found[at_live]
            if element not in self._wanted:
                self._result.append(self._live[at_live])
                at_live += 1
            elif at_wanted == len(order) or element in self._done:
                at_live += 1
            elif element == order[at_wanted]:
                self._take(element)
                at_live, at_wanted = at_live + 1, at_wanted + 1
            elif self._shared and element != self._shared[0]:
                # Both have it, but its turn is later.
                at_live += 1
            else:
                self._take(order[at_wanted])
                at_wanted += 1
        return self._result

    def _take(self, element: str) -> None:
        self._done.add(element)
        if self._shared and self._shared[0] == element:
            del self._shared[0]
        item = self._wanted[element]
        if element in self._present:
            item = merged(self._kind, self._present[element], item)
        self._result.append(item)


def _element(kind: Type, item: Any) -> str:
    try:
        return element_of(kind, item)
    except Unfit:
        # An element that can not be named is kept, and is the same as no other.
        return f"?{id(item)}"
