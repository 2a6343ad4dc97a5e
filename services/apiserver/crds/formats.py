"""The formats that a schema of a string may name, as the real server checks them."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from email.utils import parseaddr
from typing import Any
from urllib.parse import urlsplit

Holds = Callable[[str], bool]

SUPPORTED = frozenset(
    {
        "bsonobjectid", "uri", "email", "hostname", "ipv4", "ipv6", "cidr", "mac", "uuid", "uuid3",
        "uuid4", "uuid5", "isbn", "isbn10", "isbn13", "creditcard", "ssn", "hexcolor", "rgbcolor",
        "byte", "password", "date", "duration", "datetime", "k8sshortname", "k8slongname",
    }
)  # fmt: skip

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_TIME = re.compile(r"(\d{2}):(\d{2}):(\d{2})(?:.\d+)?(?:z|[+-]\d{2}:\d{2})", re.ASCII)
_GO_DURATION = re.compile(
    r"[-+]?(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)", re.ASCII
)
_WORD_DURATION = re.compile(r"\d+\s*([A-Za-zµ]+)")
_UNITS = (
    "ns", "nano", "us", "µs", "micro", "ms", "milli", "s", "sec", "second", "m", "min", "minute",
    "h", "hr", "hour", "d", "day", "w", "week", "wk",
)  # fmt: skip
_OPEN_UNITS = ("nano", "micro", "milli", "second", "minute", "hour", "day", "wk")
_BASE64 = re.compile(
    r"(?:[A-Za-z0-9+\\/]{4})*(?:[A-Za-z0-9+\\/]{2}==|[A-Za-z0-9+\\/]{3}=|[A-Za-z0-9+\\/]{4})"
)
_HOST_LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")
_MAC = re.compile(
    r"[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}(?:(?:[:-][0-9a-fA-F]{2}){2}"
    r"(?:(?:[:-][0-9a-fA-F]{2}){12})?)?|(?:[0-9a-fA-F]{4}\.){2}(?:[0-9a-fA-F]{4}\.)?[0-9a-fA-F]{4}"
)
_CARD = re.compile(
    r"(?:4\d{12}(?:\d{3})?|5[1-5]\d{14}|6(?:011|5\d\d)\d{12}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}"
    r"|(?:2131|1800|35\d{3})\d{11})", re.ASCII
)  # fmt: skip
_IPV4, _IPV6 = 4, 6
_HOST_MAX = 255
_LABEL_MAX = 63
_NAME_MAX = 253
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEBRUARY = 2


def _shape(pattern: str, flags: re.RegexFlag = re.ASCII) -> Holds:
    compiled = re.compile(pattern, flags)
    return lambda text: compiled.fullmatch(text) is not None


def _uuid(version: str, variant: str) -> Holds:
    return _shape(
        rf"[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{version}-?{variant}-?[0-9a-f]{{12}}",
        re.ASCII | re.IGNORECASE,
    )


def _date(text: str) -> bool:
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    year, month, day = (int(part) for part in match.groups())
    if not 1 <= month <= len(_DAYS) or not 1 <= day <= _DAYS[month - 1]:
        return False
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return leap or not (month == _FEBRUARY and day == _DAYS[1])


def _datetime(text: str) -> bool:
    day, separator, rest = text.lower().partition("t")
    if not separator or not _date(day):
        return False
    match = _TIME.fullmatch(rest.split("t")[0])
    return match is not None and match[1] <= "23" and match[2] <= "59" and match[3] <= "59"


def _duration(text: str) -> bool:
    if _GO_DURATION.fullmatch(text):
        return True
    for unit in _WORD_DURATION.findall(text):
        word = unit.lower()
        if word in _UNITS or word.startswith(_OPEN_UNITS):
            return True
    return False


def _without_zeros(text: str) -> str:
    return ".".join(part.lstrip("0") or "0" for part in text.split("."))


def _address(family: int) -> Holds:
    def holds(text: str) -> bool:
        # Zeros in front are read as decimal, as they always were.
        plain = _without_zeros(text) if family == _IPV4 else text
        try:
            return ipaddress.ip_address(plain).version == family and "%" not in text
        except ValueError:
            return False

    return holds


def _cidr(text: str) -> bool:
    address, slash, bits = text.partition("/")
    if not slash or not (bits.isascii() and bits.isdigit()):
        return False
    if "." in address and ":" not in address:
        address = _without_zeros(address)
    try:
        ipaddress.ip_interface(f"{address}/{int(bits)}")
    except ValueError:
        return False
    return True


def _hostname(text: str) -> bool:
    if not text or len(text) > _HOST_MAX:
        return False
    labels = text.removesuffix(".").split(".")
    return all(len(part) <= _LABEL_MAX and _HOST_LABEL.fullmatch(part) for part in labels)


def _uri(text: str) -> bool:
    """As a request line has it: a scheme or a path from the root."""
    if any(letter <= " " or letter == "\x7f" for letter in text) and " " not in text:
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return bool(parts.scheme) or text.startswith("/")


def _email(text: str) -> bool:
    address = parseaddr(text)[1]
    local, at, domain = address.rpartition("@")
    return bool(local and at and domain) and " " not in address and not domain.startswith(".")


def _digits(text: str) -> str:
    return re.sub(r"[\s-]+", "", text)


def _isbn10(text: str) -> bool:
    plain = _digits(text)
    if re.fullmatch(r"\d{9}[\dX]", plain, re.ASCII) is None:
        return False
    values = [10 if letter == "X" else int(letter) for letter in plain]
    return sum((index + 1) * value for index, value in enumerate(values)) % 11 == 0


def _isbn13(text: str) -> bool:
    plain = _digits(text)
    if re.fullmatch(r"\d{13}", plain, re.ASCII) is None:
        return False
    return (
        sum(int(letter) * (3 if index % 2 else 1) for index, letter in enumerate(plain)) % 10 == 0
    )


def _credit_card(text: str) -> bool:
    plain = re.sub(r"\D", "", text, flags=re.ASCII)
    if _CARD.fullmatch(plain) is None:
        return False
    total = 0
    for index, letter in enumerate(reversed(plain)):
        value = int(letter) * (2 if index % 2 else 1)
        total += value - 9 if value > 9 else value  # noqa: PLR2004 - the sum of two digits
    return total % 10 == 0


def _isbn(text: str) -> bool:
    return _isbn10(text) or _isbn13(text)


def _short_name(text: str) -> bool:
    return len(text) <= _LABEL_MAX and _LABEL(text)


_LABEL = _shape(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_LONG = _shape(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")

_HEX4 = "[0-9a-f]{4}"
_CHECKS: Mapping[str, Holds] = {
    "bsonobjectid": _shape(r"[0-9a-fA-F]{24}"),
    "uri": _uri,
    "email": _email,
    "hostname": _hostname,
    "ipv4": _address(_IPV4),
    "ipv6": _address(_IPV6),
    "cidr": _cidr,
    "mac": lambda text: _MAC.fullmatch(text) is not None,
    "uuid": _uuid(_HEX4, _HEX4),
    "uuid3": _uuid("3[0-9a-f]{3}", _HEX4),
    "uuid4": _uuid("4[0-9a-f]{3}", "[89ab][0-9a-f]{3}"),
    "uuid5": _uuid("5[0-9a-f]{3}", "[89ab][0-9a-f]{3}"),
    "isbn": _isbn,
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": _credit_card,
    "ssn": _shape(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _shape(r"#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _shape(
        r"rgb\(\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*(?:,\s*(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*){2}\)"
    ),
    "byte": lambda text: _BASE64.fullmatch(text) is not None,
    "date": _date,
    "duration": _duration,
    "datetime": _datetime,
    "k8sshortname": _short_name,
    "k8slongname": lambda text: len(text) <= _NAME_MAX and _LONG(text),
}


def normal(name: str) -> str:
    """The name without dashes, by which formats are known."""
    return name.replace("-", "")


def of(schema: Mapping[str, Any]) -> Holds | None:
    """The check of a schema's format for text; None where there is none or it is not known."""
    name = schema.get("format") or ""
    return _CHECKS.get(normal(name)) if schema.get("type", "") in ("", "string") else None


def unrecognized(schema: Mapping[str, Any]) -> str:
    """The format of a schema that means nothing to the server; empty when it does."""
    name: str = schema.get("format") or ""
    match schema.get("type", ""):
        case "" | "string":
            known = normal(name) in SUPPORTED
        case "integer":
            known = name in ("int32", "int64")
        case "number":
            known = name in ("float", "double")
        case _:
            known = False
    return "" if known or not name else name
