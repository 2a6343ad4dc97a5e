"""`string.format(list)`: %s %d %f %e %b %x %X %o and %%."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from pilothouse.services.machinery.cel.errors import EvaluationError
from pilothouse.services.machinery.cel.formats import render_duration, render_timestamp
from pilothouse.services.machinery.cel.libraries.conversions import double_text
from pilothouse.services.machinery.cel.values import kind_of, type_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CLAUSE = re.compile(r"%(?:\.(\d+))?(.?)", re.DOTALL | re.ASCII)
_PRECISION = 6
_MAX_PRECISION = 100
_PREFIX = "error during formatting: "


def format_text(template: str, arguments: list[Any]) -> str:
    """The template with its clauses replaced by the arguments in order."""
    rest = iter(arguments)
    used = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal used
        verb = match[2]
        if verb == "%":
            return "%"
        render = _VERBS.get(verb)
        if render is None:
            what = (
                f'unrecognized formatting clause "{verb}"' if verb else "unexpected end of string"
            )
            raise EvaluationError(f"could not parse formatting clause: {what}")
        try:
            value = next(rest)
        except StopIteration:
            raise EvaluationError(f"index {used} out of range") from None
        used += 1
        precision = _PRECISION if match[1] is None else int(match[1][:4])
        if precision > _MAX_PRECISION:
            raise EvaluationError(f"precision exceeds the limit of {_MAX_PRECISION}")
        return render(value, precision)

    return _CLAUSE.sub(replace, template)


def _no_clause(what: str, value: object) -> EvaluationError:
    return EvaluationError(f"{_PREFIX}{what}, was given {type_value(value)}")


def _string(value: Any, precision: int) -> str:
    kind = kind_of(value)
    if kind == "string":
        return str(value)
    plain = _PLAIN.get(kind)
    if plain is None:
        raise _no_clause(
            "string clause can only be used on strings, bools, bytes, ints, doubles, maps, "
            "lists, types, durations, and timestamps",
            value,
        )
    return plain(value)


def _bytes(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None


def _nested(value: Any) -> str:
    """A member of a list or map, as a literal of the language."""
    kind = kind_of(value)
    if kind == "string":
        return json.dumps(value, ensure_ascii=False)
    if kind == "bytes":
        return f"b{json.dumps(value.decode(errors='replace'), ensure_ascii=False)}"
    if kind == "timestamp":
        return f'timestamp("{render_timestamp(value)}")'
    if kind == "duration":
        return f'duration("{render_duration(value)}")'
    if kind == "double":
        text = _fixed_number(value, _PRECISION)
        return text if math.isfinite(value) else f'"{text}"'
    return _string(value, _PRECISION)


def _list(value: list[Any]) -> str:
    return f"[{', '.join(map(_nested, value))}]"


def _map(value: Mapping[Any, Any]) -> str:
    pairs = sorted((_nested(key), _nested(item)) for key, item in value.items())
    return f"{{{', '.join(f'{key}:{item}' for key, item in pairs)}}}"


_PLAIN: dict[str, Callable[[Any], str]] = {
    "bool": lambda value: "true" if value else "false",
    "int": str,
    "uint": lambda value: str(int(value)),
    "double": double_text,
    "bytes": _bytes,
    "null": lambda value: "null",
    "list": _list,
    "map": _map,
    "timestamp": render_timestamp,
    "duration": render_duration,
    "type": lambda value: value.name,
}


def _decimal(value: Any, precision: int) -> str:
    if kind_of(value) not in ("int", "uint"):
        raise _no_clause("decimal clause can only be used on integers", value)
    return str(int(value))


def _number(value: Any, clause: str) -> float:
    if value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if not isinstance(value, float):
        raise _no_clause(f"{clause} clause can only be used on doubles", value)
    return value


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "∞" if value > 0 else "-∞"


def _fixed_number(value: float, precision: int) -> str:
    if not math.isfinite(value):
        return double_text(value)
    return f"{value:.{precision}f}"


def _fixed(value: Any, precision: int) -> str:
    number = _number(value, "fixed-point")
    if not math.isfinite(number):
        return _special(number)
    return f"{number:,.{precision}f}"


def _scientific(value: Any, precision: int) -> str:
    number = _number(value, "scientific")
    if not math.isfinite(number):
        return _special(number)
    mantissa, exponent = f"{number:.{precision}e}".split("e")
    superscript = str(int(exponent)).zfill(2) if exponent[0] != "-" else f"-{exponent[1:]}"
    return f"{mantissa}\u00d710{superscript.translate(_SUPERSCRIPTS)}"


_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def _binary(value: Any, precision: int) -> str:
    if kind_of(value) not in ("int", "uint", "bool"):
        raise _no_clause("only integers and bools can be formatted as binary", value)
    return format(int(value), "b")


def _hex(value: Any, precision: int) -> str:
    kind = kind_of(value)
    if kind == "string":
        return str(value).encode().hex()
    if kind == "bytes":
        return bytes(value).hex()
    if kind not in ("int", "uint"):
        raise _no_clause("only integers, byte buffers, and strings can be formatted as hex", value)
    return format(int(value), "x")


def _octal(value: Any, precision: int) -> str:
    if kind_of(value) not in ("int", "uint"):
        raise _no_clause("octal clause can only be used on integers", value)
    return format(int(value), "o")


_VERBS: dict[str, Callable[[Any, int], str]] = {
    "s": _string,
    "d": _decimal,
    "f": _fixed,
    "e": _scientific,
    "b": _binary,
    "x": _hex,
    "X": lambda value, precision: _hex(value, precision).upper(),
    "o": _octal,
}
