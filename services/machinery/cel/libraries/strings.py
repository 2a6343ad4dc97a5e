"""Functions on strings (upstream's extension library, version 2), and regular expressions' find."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

from pilothouse.services.machinery.cel import regular
from pilothouse.services.machinery.cel.declarations import declare
from pilothouse.services.machinery.cel.errors import EvaluationError
from pilothouse.services.machinery.cel.libraries.formatting import format_text

if TYPE_CHECKING:
    from collections.abc import Callable

DECLARATIONS = declare("""
string_char_at_int: string .charAt(int) -> string
string_index_of_string: string .indexOf(string) -> int
string_index_of_string_int: string .indexOf(string, int) -> int
string_last_index_of_string: string .lastIndexOf(string) -> int
string_last_index_of_string_int: string .lastIndexOf(string, int) -> int
string_lower_ascii: string .lowerAscii() -> string
string_upper_ascii: string .upperAscii() -> string
string_replace_string_string: string .replace(string, string) -> string
string_replace_string_string_int: string .replace(string, string, int) -> string
string_split_string: string .split(string) -> list(string)
string_split_string_int: string .split(string, int) -> list(string)
string_substring_int: string .substring(int) -> string
string_substring_int_int: string .substring(int, int) -> string
string_trim: string .trim() -> string
string_format: string .format(list(dyn)) -> string
strings_quote: strings.quote(string) -> string
list_join: list(string) .join() -> string
list_join_string: list(string) .join(string) -> string
string_find_string: string .find(string) -> string
string_find_all_string: string .findAll(string) -> list(string)
string_find_all_string_int: string .findAll(string, int) -> list(string)
string_jsonpatch_escapeKey_string: jsonpatch.escapeKey(string) -> string
""")

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_UPPER = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)
# What Unicode calls white space, as Go's TrimSpace does.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_QUOTES = str.maketrans(
    {
        "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
        "\\": "\\\\", '"': '\\"',
    }
)  # fmt: skip


def _out_of_range(index: int) -> EvaluationError:
    return EvaluationError(f"index out of range: {index}")


def _char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise _out_of_range(index)
    return text[index : index + 1]


def _index_of(text: str, part: str, offset: int = 0) -> int:
    if offset < 0:
        raise _out_of_range(offset)
    if part == "":
        return min(offset, len(text))
    return text.find(part, offset)


def _last_index_of(text: str, part: str, offset: int | None = None) -> int:
    if offset is None:
        return text.rfind(part)
    if offset < 0:
        raise _out_of_range(offset)
    if part == "":
        return min(offset, len(text))
    return -1 if offset >= len(text) else text.rfind(part, 0, offset + len(part))


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    return text.replace(old, new, count)


def _split(text: str, separator: str, count: int = -1) -> list[str]:
    if count == 0:
        return []
    if separator:
        return text.split(separator, count - 1 if count > 0 else -1)
    if count < 0 or count > len(text):
        return list(text)
    return [*text[: count - 1], text[count - 1 :]]


def _substring(text: str, start: int, end: int | None = None) -> str:
    end = len(text) if end is None else end
    if not 0 <= start <= len(text):
        raise _out_of_range(start)
    if not 0 <= end <= len(text):
        raise _out_of_range(end)
    if start > end:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    return text[start:end]


def _join(parts: list[Any], separator: str = "") -> str:
    for part in parts:
        if not isinstance(part, str):
            raise EvaluationError(f"join: invalid input: {part}")
    return separator.join(parts)


def _compiled(pattern: str) -> Any:
    try:
        return regular.compiled(pattern)
    except ValueError as error:
        raise EvaluationError(f"Illegal regex: {error}") from None


def _find(text: str, pattern: str) -> str:
    match = _compiled(pattern).search(text)
    return "" if match is None else str(match.group())


def _find_all(text: str, pattern: str, count: int = -1) -> list[str]:
    found: list[str] = []
    last = -1
    for match in _compiled(pattern).finditer(text):
        if len(found) == count:
            break
        # Go takes no empty match right after another one.
        if match.start() == match.end() == last:
            continue
        found.append(match.group())
        last = match.end()
    return found


IMPLEMENTATIONS: dict[str, Callable[..., Any]] = {
    "string_char_at_int": _char_at,
    **dict.fromkeys(("string_index_of_string", "string_index_of_string_int"), _index_of),
    **dict.fromkeys(
        ("string_last_index_of_string", "string_last_index_of_string_int"), _last_index_of
    ),
    "string_lower_ascii": lambda text: text.translate(_LOWER),
    "string_upper_ascii": lambda text: text.translate(_UPPER),
    **dict.fromkeys(("string_replace_string_string", "string_replace_string_string_int"), _replace),
    **dict.fromkeys(("string_split_string", "string_split_string_int"), _split),
    **dict.fromkeys(("string_substring_int", "string_substring_int_int"), _substring),
    "string_trim": lambda text: text.strip(_SPACE),
    "string_format": format_text,
    "strings_quote": lambda text: f'"{text.translate(_QUOTES)}"',
    **dict.fromkeys(("list_join", "list_join_string"), _join),
    "string_find_string": _find,
    **dict.fromkeys(("string_find_all_string", "string_find_all_string_int"), _find_all),
    "string_jsonpatch_escapeKey_string": lambda text: text.replace("~", "~0").replace("/", "~1"),
}
