"""How Kubernetes spells property names as CEL identifiers."""

from __future__ import annotations

import re

RESERVED = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
_NAME = re.compile(r"[a-zA-Z_./-][a-zA-Z0-9_./-]*", re.ASCII)
_ESCAPED = re.compile(r"__|[-./]")
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_UNESCAPES = {value[2:-2]: key for key, value in _ESCAPES.items()}
_SEQUENCE = re.compile(r"__([^_]+)__")


def escape(name: str) -> str | None:
    """The identifier of a property, or None if expressions can not name it."""
    if name in RESERVED:
        return f"__{name}__"
    if _NAME.fullmatch(name) is None:
        return None
    return _ESCAPED.sub(lambda match: _ESCAPES[match.group()], name)


def unescape(identifier: str) -> str | None:
    """The property that an identifier names, or None for a bad escape sequence."""
    if "__" not in identifier:
        return identifier
    whole = _SEQUENCE.fullmatch(identifier)
    if whole is not None and whole[1] in RESERVED:
        return whole[1]
    parts, last = [], 0
    for match in _SEQUENCE.finditer(identifier):
        plain = _UNESCAPES.get(match[1])
        if plain is None:
            return None
        parts += [identifier[last : match.start()], plain]
        last = match.end()
    return "".join([*parts, identifier[last:]])
