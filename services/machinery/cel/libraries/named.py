"""Named formats: `format.dns1123Label().validate(name)`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pilothouse.services.machinery import names
from pilothouse.services.machinery.cel.declarations import declare, merge
from pilothouse.services.machinery.cel.errors import EvaluationError
from pilothouse.services.machinery.cel.formats import decode_base64, parse_date, parse_date_time
from pilothouse.services.machinery.cel.libraries import addresses
from pilothouse.services.machinery.cel.values import NONE, Optional

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Format:
    """A format; `check` gives what is wrong with a text or "", `regex_size` counts for costs."""

    name: str
    check: Callable[[str], str]
    regex_size: int

    type_name = "kubernetes.NamedFormat"
    unit_equality = True


_UUID = re.compile(
    r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE | re.ASCII
)


def _prefix(check: Callable[[str], str]) -> Callable[[str], str]:
    """As of a name that more is appended to: it may end with a dash."""

    def masked(text: str) -> str:
        return check(f"{text[:-2]}a" if len(text) > 1 and text.endswith("-") else text)

    return masked


def _parsed(parse: Callable[[str], object], wrong: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            parse(text)
        except ValueError:
            return wrong
        return ""

    return check


def _uri(text: str) -> str:
    try:
        addresses.IMPLEMENTATIONS["string_to_url"](text)
    except EvaluationError as error:
        return str(error).split(": ", 1)[1]
    return ""


FORMATS: dict[str, Format] = {
    "dns1123Label": Format("DNS1123Label", names.label, 30),
    "dns1123Subdomain": Format("DNS1123Subdomain", names.subdomain, 60),
    "dns1035Label": Format("DNS1035Label", names.label_1035, 30),
    "qualifiedName": Format("QualifiedName", names.qualified, 60),
    "dns1123LabelPrefix": Format("DNS1123LabelPrefix", _prefix(names.label), 30),
    "dns1123SubdomainPrefix": Format("DNS1123SubdomainPrefix", _prefix(names.subdomain), 60),
    "dns1035LabelPrefix": Format("DNS1035LabelPrefix", _prefix(names.label_1035), 30),
    "labelValue": Format("LabelValue", names.label_value, 40),
    "uri": Format("URI", _uri, 1103),
    "uuid": Format(
        "uuid", lambda text: "" if _UUID.fullmatch(text) else "does not match the UUID format", 83
    ),
    "byte": Format("byte", _parsed(decode_base64, "invalid base64"), 92),
    "date": Format("date", _parsed(parse_date, "invalid date"), 84),
    "datetime": Format("datetime", _parsed(parse_date_time, "invalid datetime"), 84),
}

DECLARATIONS = merge(
    declare("""
format-validate: kubernetes.NamedFormat .validate(string) -> optional(list(string))
format-named: format.named(string) -> optional(kubernetes.NamedFormat)
"""),
    declare(
        "\n".join(f"format.{name}: format.{name}() -> kubernetes.NamedFormat" for name in FORMATS)
    ),
)


def _validate(format_: Format, text: str) -> Optional:
    wrong = format_.check(text)
    return Optional([wrong]) if wrong else NONE


def _named(name: str) -> Optional:
    found = FORMATS.get(name)
    return NONE if found is None else Optional(found)


def _constant(format_: Format) -> Callable[[], Format]:
    return lambda: format_


IMPLEMENTATIONS: dict[str, Callable[..., Any]] = {
    "format-validate": _validate,
    "format-named": _named,
    **{f"format.{name}": _constant(format_) for name, format_ in FORMATS.items()},
}
