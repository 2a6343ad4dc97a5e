"""Label selectors: the text form of requests and the ``metav1.LabelSelector`` form of objects."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from pilothouse.services.machinery.errors import BadRequest
from pilothouse.services.machinery.objects import View

_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = rf"(?:[a-z0-9](?:[-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_NAME}"
_VALUE = rf"(?:{_NAME})?"
_SET = re.compile(rf"\s*({_KEY})\s+(in|notin)\s*\(([^()]*)\)\s*")
_EQUAL = re.compile(rf"\s*({_KEY})\s*(==|=|!=)\s*({_VALUE})\s*")
_ORDER = re.compile(rf"\s*({_KEY})\s*([<>])\s*(-?\d+)\s*")
_EXISTS = re.compile(rf"\s*(!?)\s*({_KEY})\s*")
_IS_VALUE = re.compile(_VALUE)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition; ``operator`` is in, notin, exists, absent, gt or lt."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value is not None and value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "absent":
                return value is None
        return self._compares(value)

    def _compares(self, value: str | None) -> bool:
        if value is None or not value.lstrip("-").isdigit():
            return False
        bound = int(next(iter(self.values)))
        return int(value) > bound if self.operator == "gt" else int(value) < bound


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must hold; none means everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)


EVERYTHING = Selector()
# Numbers of 64 bits, with their sign.
_BOUND_LENGTH_MAX = 20
_REMEMBERED_LENGTH_MAX = 256


class LabelSelectorRequirement(View, frozen=True, kw_only=True):
    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(View, frozen=True, kw_only=True):
    """``metav1.LabelSelector``."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}


def compile_selector(selector: LabelSelector | None) -> Selector | None:
    """The selector of an object; None (no selector) selects nothing and stays None."""
    if selector is None:
        return None
    equal = [
        Requirement(key, "in", frozenset((value,)))
        for key, value in sorted(selector.match_labels.items())
    ]
    others = [
        Requirement(item.key, _OPERATORS[item.operator], frozenset(item.values))
        for item in selector.match_expressions
        if item.operator in _OPERATORS
    ]
    return Selector((*equal, *others))


def compile_map(labels: Mapping[str, str]) -> Selector | None:
    """The plain map of a Service or ReplicationController; an empty one selects nothing."""
    if not labels:
        return None
    return Selector(
        tuple(Requirement(key, "in", frozenset((labels[key],))) for key in sorted(labels))
    )


def parse(text: str) -> Selector:
    """``a=b,c!=d,e in (f,g),h,!i``; BadRequest on anything else."""
    return _remembered(text) if len(text) <= _REMEMBERED_LENGTH_MAX else _parsed(text)


@lru_cache(maxsize=512)
def _remembered(text: str) -> Selector:
    return _parsed(text)


def _parsed(text: str) -> Selector:
    requirements: list[Requirement] = []
    position = 0
    while position < len(text):
        requirement, position = _requirement(text, position)
        requirements.append(requirement)
        if position == len(text):
            break
        if text[position] != "," or position + 1 == len(text):
            raise _bad(text)
        position += 1
    return Selector(tuple(requirements))


def _requirement(text: str, position: int) -> tuple[Requirement, int]:
    if match := _SET.match(text, position):
        values = frozenset(value.strip() for value in match[3].split(","))
        if not all(_IS_VALUE.fullmatch(value) for value in values):
            raise _bad(text)
        return Requirement(match[1], match[2], values), match.end()
    if match := _EQUAL.match(text, position):
        operator = "notin" if match[2] == "!=" else "in"
        return Requirement(match[1], operator, frozenset((match[3],))), match.end()
    if match := _ORDER.match(text, position):
        operator = "gt" if match[2] == ">" else "lt"
        if len(match[3]) > _BOUND_LENGTH_MAX:
            raise _bad(text)
        return Requirement(match[1], operator, frozenset((match[3],))), match.end()
    if match := _EXISTS.match(text, position):
        return Requirement(match[2], "absent" if match[1] else "exists"), match.end()
    raise _bad(text)


def _bad(text: str) -> BadRequest:
    return BadRequest(f"unable to parse requirement: {text!r} is not a label selector")
