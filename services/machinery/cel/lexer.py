"""Text to tokens: (kind, text, position) with kinds int, uint, float, string, ident, op and end."""

from __future__ import annotations

import re
from typing import NamedTuple

from pilothouse.services.machinery.cel.errors import CompileErrors, Issue

_QUOTED = (
    r"(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''"
    r"|\"(?:\\.|[^\\\"\n\r])*\"|'(?:\\.|[^\\'\n\r])*')"
)
_RAW = r"(?:\"\"\".*?\"\"\"|'''.*?'''|\"[^\"\n\r]*\"|'[^'\n\r]*')"
_TOKEN = re.compile(
    r"(?P<space>(?:[ \t\r\n\f]+|//[^\n]*)+)"
    rf"|(?P<string>[bB]?[rR]{_RAW}|[bB]?{_QUOTED})"
    r"|(?P<float>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)"
    r"|(?P<uint>(?:0x[0-9a-fA-F]+|\d+)[uU])"
    r"|(?P<int>0x[0-9a-fA-F]+|\d+)"
    r"|(?P<ident>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<op>==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,()\[\]{}])",
    re.DOTALL | re.ASCII,
)
_LAST_CHARACTER, _SURROGATES = 0x10FFFF, range(0xD800, 0xE000)
_SIMPLE = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    '"': '"', "'": "'", "\\": "\\", "?": "?", "`": "`",
}  # fmt: skip
_ESCAPE = re.compile(
    r"\\(?:(?P<simple>[abfnrtv\"'\\?`])|[xX](?P<hex>[0-9a-fA-F]{2})|u(?P<short>[0-9a-fA-F]{4})"
    r"|U(?P<long>[0-9a-fA-F]{8})|(?P<octal>[0-3][0-7]{2})|(?P<bad>.|$))",
    re.DOTALL,
)


class Token(NamedTuple):
    """`text` of an end token is `<EOF>`."""

    kind: str
    text: str
    position: int


def tokenize(source: str) -> list[Token]:
    """All tokens and a closing end token; raises CompileErrors at what is no token."""
    tokens: list[Token] = []
    position, length = 0, len(source)
    while position < length:
        match = _TOKEN.match(source, position)
        if match is None:
            found = source[position:] if source[position] in "'\"" else source[position]
            message = f"Syntax error: token recognition error at: '{found}'"
            raise CompileErrors(source, [Issue(position, message)])
        kind = match.lastgroup or ""
        if kind != "space":
            tokens.append(Token(kind, match.group(), position))
        position = match.end()
    tokens.append(Token("end", "<EOF>", length))
    return tokens


def unquote(text: str) -> str | bytes:
    """The value of a string or bytes token; raises ValueError for a bad escape sequence."""
    is_bytes = text[0] in "bB"
    if is_bytes:
        text = text[1:]
    raw = text[0] in "rR"
    if raw:
        text = text[1:]
    width = 3 if len(text) >= 2 * 3 and text[:3] in ('"""', "'''") else 1
    body = text[width:-width].replace("\r\n", "\n").replace("\r", "\n")
    if raw or "\\" not in body:
        return body.encode() if is_bytes else body
    return _unescape_bytes(body) if is_bytes else _ESCAPE.sub(_character, body)


def _character(match: re.Match[str]) -> str:
    kind = match.lastgroup
    value = match.group(kind or 0)
    if kind == "simple":
        return _SIMPLE[value]
    if kind == "bad":
        raise ValueError(f"unable to unescape string: \\{value}")
    code = int(value, 8 if kind == "octal" else 16)
    if code > _LAST_CHARACTER or code in _SURROGATES:
        raise ValueError("invalid unicode code point")
    return chr(code)


def _unescape_bytes(body: str) -> bytes:
    out, last = bytearray(), 0
    for match in _ESCAPE.finditer(body):
        out += body[last : match.start()].encode()
        last = match.end()
        if match.lastgroup in ("short", "long"):
            raise ValueError("unable to unescape bytes: \\u and \\U are not allowed")
        character = _character(match)
        out += character.encode("latin-1")
    return bytes(out + body[last:].encode())
