"""What names, labels and annotations may look like, in Kubernetes' words."""

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pilothouse.services.machinery.errors import Cause

Rule = Callable[[str], str]
"""Takes a name and returns what is wrong with it, empty when nothing is."""

SHOWN_MAX = 10_000
"""Characters of a wrong value that a message repeats."""
LABEL_MAX = 63
SUBDOMAIN_MAX = 253
ANNOTATIONS_BYTES_MAX = 256 * 1024
SUFFIX_LENGTH = 5
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Letters and digits that form no words and are not mistaken for one another."""

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_FORM = re.compile(_LABEL)
_LABEL_1035_FORM = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN_FORM = re.compile(_SUBDOMAIN)
_QUALIFIED_FORM = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_KEY_FORM = re.compile(r"[-._a-zA-Z0-9]+")
_PORT_FORM = re.compile(r"[-a-z0-9]+")
_PORT_NAME_MAX = 15
_V4_BITS = 32
_ZEROS = re.compile(r"\b0+(?=[0-9])")
_WRONG_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_WRONG_NETWORK = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_ZEROS_IN_NETWORK = "must not have leading 0s in IP or prefix length"
PORT_MAX = 65535

_RFC_1123_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_RFC_1035_LABEL = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_RFC_1123_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_QUALIFIED_NAME = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_MANY_PARTS = (
    f"a valid label key {_QUALIFIED_NAME.removeprefix('name part ')} with an optional DNS "
    "subdomain prefix and '/' (e.g. 'example.com/MyName')"
)
_LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def label(name: str) -> str:
    """RFC 1123 label: names of namespaces, containers, volumes."""
    if len(name) > LABEL_MAX:
        return f"must be no more than {LABEL_MAX} characters"
    if _LABEL_FORM.fullmatch(name):
        return ""
    return "must not contain dots" if _SUBDOMAIN_FORM.fullmatch(name) else _RFC_1123_LABEL


def label_1035(name: str) -> str:
    """RFC 1035 label, which starts with a letter: names of Services."""
    if len(name) > LABEL_MAX:
        return f"must be no more than {LABEL_MAX} characters"
    return "" if _LABEL_1035_FORM.fullmatch(name) else _RFC_1035_LABEL


def subdomain(name: str) -> str:
    """RFC 1123 subdomain: names of most objects."""
    if len(name) > SUBDOMAIN_MAX:
        return f"must be no more than {SUBDOMAIN_MAX} characters"
    return "" if _SUBDOMAIN_FORM.fullmatch(name) else _RFC_1123_SUBDOMAIN


def path_segment(name: str) -> str:
    """What may be one step of a path: names of roles and the like."""
    if name in {".", ".."}:
        return f"may not be '{name}'"
    bad = next((mark for mark in "/%" if mark in name), "")
    return f"may not contain '{bad}'" if bad else ""


def port_name(name: str) -> str:
    """An IANA service name: names of container and Service ports."""
    if len(name) > _PORT_NAME_MAX:
        return f"must be no more than {_PORT_NAME_MAX} characters"
    if not _PORT_FORM.fullmatch(name):
        return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not any(letter.isalpha() for letter in name):
        return "must contain at least one letter (a-z)"
    if "--" in name:
        return "must not contain consecutive hyphens"
    if name.startswith("-") or name.endswith("-"):
        return "must not begin or end with a hyphen"
    return ""


def config_key(name: str) -> str:
    """A key of a ConfigMap's or Secret's data."""
    if len(name) > SUBDOMAIN_MAX:
        return f"must be no more than {SUBDOMAIN_MAX} characters"
    if not _KEY_FORM.fullmatch(name):
        return (
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
            "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "
            "'[-._a-zA-Z0-9]+')"
        )
    if name in {".", ".."}:
        return f"must not be '{name}'"
    return "must not start with '..'" if name.startswith("..") else ""


def qualified(name: str) -> str:
    """A key of a label, annotation or finalizer: ``[prefix/]name``."""
    prefix, slash, last = name.rpartition("/")
    if "/" in prefix:
        return _MANY_PARTS
    if slash and not prefix:
        return "prefix part must be non-empty"
    if prefix and (wrong := subdomain(prefix)):
        return f"prefix part {wrong}"
    if not last:
        return "name part must be non-empty"
    if len(last) > LABEL_MAX:
        return f"name part must be no more than {LABEL_MAX} characters"
    return "" if _QUALIFIED_FORM.fullmatch(last) else _QUALIFIED_NAME


def label_value(value: str) -> str:
    """The value of a label."""
    if len(value) > LABEL_MAX:
        return f"must be no more than {LABEL_MAX} characters"
    return "" if not value or _QUALIFIED_FORM.fullmatch(value) else _LABEL_VALUE


def check_labels(labels: Mapping[str, str], field: str) -> list[Cause]:
    """What is wrong with these labels."""
    causes = [invalid(field, key, wrong) for key in labels if (wrong := qualified(key))]
    causes += [
        invalid(field, value, wrong) for value in labels.values() if (wrong := label_value(value))
    ]
    return causes


def check_annotations(annotations: Mapping[str, str], field: str) -> list[Cause]:
    """What is wrong with these annotations: keys as labels', values free, 256 KiB in all."""
    causes = [
        invalid(field, key, wrong) for key in annotations if (wrong := qualified(key.lower()))
    ]
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > ANNOTATIONS_BYTES_MAX:
        message = f"Too long: may not be more than {ANNOTATIONS_BYTES_MAX} bytes"
        causes.append(Cause(field, message, "FieldValueTooLong"))
    return causes


def invalid(field: str, value: Any, detail: str) -> Cause:
    """``Invalid value: "x": detail``; what is no plain value is shown as JSON."""
    return Cause(field, f"Invalid value: {show(value)}: {detail}", "FieldValueInvalid")


def required(field: str, detail: str = "") -> Cause:
    """``Required value``, with what is asked for."""
    message = f"Required value: {detail}" if detail else "Required value"
    return Cause(field, message, "FieldValueRequired")


def duplicate(field: str, value: Any) -> Cause:
    """``Duplicate value: "x"``."""
    return Cause(field, f"Duplicate value: {show(value)}", "FieldValueDuplicate")


def unsupported(field: str, value: Any, supported: Iterable[str]) -> Cause:
    """``Unsupported value: "x": supported values: …``."""
    choice = ", ".join(f'"{item}"' for item in supported)
    message = f"Unsupported value: {show(value)}: supported values: {choice}"
    return Cause(field, message, "FieldValueNotSupported")


def forbidden(field: str, detail: str) -> Cause:
    """``Forbidden: detail``."""
    return Cause(field, f"Forbidden: {detail}", "FieldValueForbidden")


def not_found(field: str, value: Any, detail: str = "") -> Cause:
    """``Not found: "x"``."""
    message = f"Not found: {show(value)}"
    return Cause(field, f"{message}: {detail}" if detail else message, "FieldValueNotFound")


def too_long(field: str, bytes_max: int) -> Cause:
    """``Too long: may not be more than N bytes``."""
    return Cause(field, f"Too long: may not be more than {bytes_max} bytes", "FieldValueTooLong")


def too_many(field: str, count: int, most: int) -> Cause:
    """``Too many: 5: must have at most 4 items``."""
    noun = "item" if most == 1 else "items"
    message = f"Too many: {count}: must have at most {most} {noun}"
    return Cause(field, message, "FieldValueTooMany")


def check(rule: Rule, value: str, field: str) -> list[Cause]:
    """What ``rule`` says of a value."""
    wrong = rule(value)
    return [invalid(field, value, wrong)] if wrong else []


def check_least(value: int | None, field: str) -> list[Cause]:
    """A number that is given is not negative."""
    if value is None or value >= 0:
        return []
    return [invalid(field, value, "must be greater than or equal to 0")]


def check_range(value: int, least: int, most: int, field: str) -> list[Cause]:
    """A number lies between two others."""
    if least <= value <= most:
        return []
    return [invalid(field, value, f"must be between {least} and {most}, inclusive")]


def check_port(number: int, field: str) -> list[Cause]:
    """A port number lies between 1 and 65535."""
    return check_range(number, 1, PORT_MAX, field)


def check_port_or_name(port: int | str, field: str) -> list[Cause]:
    """A port by its number, or by the name that its container gives it."""
    return check_port(port, field) if isinstance(port, int) else check(port_name, port, field)


def address(text: str) -> str:
    """An IP address of either family, which says only one thing."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return "must not have leading 0s" if _has_zeros(text) else _WRONG_ADDRESS
    return "must not be an IPv4-mapped IPv6 address" if _mapped(found) else ""


def network(text: str) -> str:
    """A CIDR of either family: an address whose rest is 0, and the length of its prefix."""
    given, slash, length = text.partition("/")
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        zeros = bool(slash) and (not address(given) or _has_zeros(given)) and length.isdigit()
        return _ZEROS_IN_NETWORK if zeros and int(length) <= _V4_BITS else _WRONG_NETWORK
    if not slash or not length.isdigit():
        return _WRONG_NETWORK
    if length != str(int(length)):
        return _ZEROS_IN_NETWORK
    if _mapped(found.ip):
        return "must not have an IPv4-mapped IPv6 address"
    beyond = found.ip != found.network.network_address
    return "must not have bits set beyond the prefix length" if beyond else ""


def _mapped(found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None


def _has_zeros(text: str) -> bool:
    """Whether it would be an address, but for zeros that some take for octal."""
    try:
        ipaddress.IPv4Address(_ZEROS.sub("", text))
    except ValueError:
        return False
    return True


def show(value: Any) -> str:
    """A value as messages show it: text in quotes, all else as JSON; of much, the beginning."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}..."
