"""Declarations of functions, written as text: one overload a line.

`add_int64: _+_(int, int) -> int` declares a function or operator,
`starts_with_string: string.startsWith(string) -> bool` a method. Single capitals are type
parameters, `optional(A)` is optional_type.
"""

from __future__ import annotations

from typing import NamedTuple

from pilothouse.services.machinery.cel.types import (
    NAMED,
    Type,
    list_of,
    map_of,
    optional_of,
    type_of,
)


class Overload(NamedTuple):
    """One signature; of a method `args[0]` is the target."""

    id: str
    function: str
    method: bool
    args: tuple[Type, ...]
    result: Type
    generic: bool


def declare(text: str) -> dict[str, tuple[Overload, ...]]:
    """The overloads of a text by function, in the text's order."""
    found: dict[str, list[Overload]] = {}
    for line in text.strip().splitlines():
        overload = _overload(line.strip())
        found.setdefault(overload.function, []).append(overload)
    return {name: tuple(overloads) for name, overloads in found.items()}


def merge(*libraries: dict[str, tuple[Overload, ...]]) -> dict[str, tuple[Overload, ...]]:
    """All libraries' declarations as one."""
    merged: dict[str, tuple[Overload, ...]] = {}
    for library in libraries:
        for name, overloads in library.items():
            merged[name] = merged.get(name, ()) + overloads
    return merged


def _overload(line: str) -> Overload:
    name, rest = line.split(": ", 1)
    signature, result_text = rest.rsplit(" -> ", 1)
    result = parse_type(result_text)
    head, args_text = _split_call(signature)
    args = [parse_type(part) for part in _parts(args_text)]
    method = False
    if " ." in head:
        target, head = head.rsplit(" .", 1)
        args.insert(0, parse_type(target))
        method = True
    generic = any(map(_has_param, (*args, result)))
    return Overload(name, head, method, tuple(args), result, generic)


def _split_call(text: str) -> tuple[str, str]:
    """Splits before the parenthesis that closes last."""
    depth = 0
    for index in range(len(text) - 1, -1, -1):
        depth += (text[index] == ")") - (text[index] == "(")
        if depth == 0:
            return text[:index], text[index + 1 : -1]
    raise ValueError(text)


def _parts(text: str) -> list[str]:
    parts, depth, last = [], 0, 0
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append(text[last:index].strip())
            last = index + 1
    tail = text[last:].strip()
    return [*parts, tail] if tail else parts


def parse_type(text: str) -> Type:
    """The type that a text such as `map(string, list(A))` names."""
    text = text.strip()
    if len(text) == 1:
        return Type("param", text)
    if "(" not in text:
        return NAMED[text]
    head, inner = text.split("(", 1)
    params = [parse_type(part) for part in _parts(inner[:-1])]
    if head == "list":
        return list_of(params[0])
    if head == "map":
        return map_of(params[0], params[1])
    return type_of(params[0]) if head == "type" else optional_of(params[0])


def _has_param(value: Type) -> bool:
    return value.kind == "param" or any(map(_has_param, value.params))
