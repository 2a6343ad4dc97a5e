"""The rules of a definition's smaller parts: names, columns, scale paths, conversion. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

Document = Mapping[str, Any]

_TYPES = ("boolean", "date", "integer", "number", "string")
_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_WARNING_MAX = 256
SELECTABLE_MAX = 8


def check_names(given: Document, where: str) -> list[Cause]:
    """What is wrong with names that are there."""
    causes: list[Cause] = []
    for field in ("plural", "singular"):
        if given.get(field):
            causes += names.check(names.label_1035, given[field], f"{where}.{field}")
    for field in ("kind", "listKind"):
        value = given.get(field) or ""
        if value and (wrong := names.label_1035(value.lower())):
            detail = f"may have mixed case, but should otherwise match: {wrong}"
            causes.append(names.invalid(f"{where}.{field}", value, detail))
    for field in ("shortNames", "categories"):
        for index, value in enumerate(given.get(field) or ()):
            causes += names.check(names.label_1035, value, f"{where}.{field}[{index}]")
    if given.get("kind") and given.get("kind") == given.get("listKind"):
        detail = "kind and listKind may not be the same"
        causes.append(names.invalid(f"{where}.listKind", given["listKind"], detail))
    return causes


def check_deprecation(version: Document, where: str) -> list[Cause]:
    """A warning stands only where there is something to warn of, and can be a header."""
    text = version.get("deprecationWarning")
    if text is None:
        return []
    if not version.get("deprecated"):
        return [names.invalid(where, text, "can only be set for deprecated versions")]
    wrong = []
    if len(text.encode()) > _WARNING_MAX:
        wrong.append(f"must be <= {_WARNING_MAX} characters long")
    if not text:
        wrong.append("must not be an empty string")
    for index, letter in enumerate(text):
        if not letter.isprintable():
            wrong.append(
                "must only contain printable UTF-8 characters; non-printable character found at "
                f"index {index}"
            )
            break
    return [names.invalid(where, text, detail) for detail in wrong]


def check_column(column: Document, where: str) -> list[Cause]:
    """What is wrong with a printer column."""
    causes = [] if column.get("name") else [names.required(f"{where}.name")]
    type_, choice = column.get("type") or "", f"must be one of {','.join(_TYPES)}"
    if not type_:
        causes.append(names.required(f"{where}.type", choice))
    elif type_ not in _TYPES:
        causes.append(names.invalid(f"{where}.type", type_, choice))
    format_ = column.get("format") or ""
    if format_ and format_ not in _FORMATS:
        detail = f"must be one of {','.join(_FORMATS)}"
        causes.append(names.invalid(f"{where}.format", format_, detail))
    path = column.get("jsonPath") or ""
    if not path:
        causes.append(names.required(f"{where}.JSONPath"))
    return causes + (check_path(path, f"{where}.JSONPath") if path else [])


def check_path(path: str, where: str) -> list[Cause]:
    """A simple path begins with a dot."""
    if path.startswith("."):
        return []
    return [names.invalid(where, path, "must be a simple json path starting with .")]


def check_scale(scale: Document | None, where: str) -> list[Cause]:
    """What is wrong with the paths of a scale subresource."""
    if scale is None:
        return []
    causes: list[Cause] = []
    for field, root in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")):
        path = scale.get(field) or ""
        if not path:
            causes.append(names.required(f"{where}.{field}"))
        else:
            detail = f"should be a json path under {root}"
            causes += _check_below(path, (root,), detail, f"{where}.{field}")
    selector = scale.get("labelSelectorPath") or ""
    if selector:
        detail = "should be a json path under either .spec or .status"
        causes += _check_below(selector, (".spec", ".status"), detail, f"{where}.labelSelectorPath")
    return causes


def _check_below(path: str, roots: Sequence[str], detail: str, where: str) -> list[Cause]:
    wrong = check_path(path, where)
    if wrong or path.startswith(tuple(f"{root}." for root in roots)):
        return wrong
    return [names.invalid(where, path, detail)]


def check_selectable(
    fields: Sequence[Document], schema: Document | None, where: str
) -> list[Cause]:
    """Each selectable field is there, is a plain value, and is named once."""
    if not fields:
        return []
    if schema is None:
        detail = "may only be set when `version.schema.openAPIV3Schema` is not included"
        return [names.invalid(where, "", detail)]
    causes = []
    seen: set[str] = set()
    for index, item in enumerate(fields):
        path, place = item.get("jsonPath") or "", f"{where}[{index}].jsonPath"
        if not path:
            causes.append(names.required(place))
            continue
        found, wrong = _follow(path, schema)
        if wrong:
            causes.append(names.invalid(place, path, f"is an invalid path: {wrong}"))
            continue
        if path.startswith(".metadata"):
            causes.append(names.invalid(place, path, "must not point to fields in metadata"))
        if found is None or found.get("type") not in ("string", "boolean", "integer"):
            detail = (
                "must point to a field of type string, boolean or integer. Enum string fields and "
                "strings with formats are allowed."
            )
            causes.append(names.invalid(place, path, detail))
        if path in seen:
            causes.append(names.duplicate(place, path))
        seen.add(path)
    if len(seen) > SELECTABLE_MAX:
        causes.append(names.too_many(where, len(seen), SELECTABLE_MAX))
    return causes


def _follow(path: str, schema: Document) -> tuple[Document | None, str]:
    """The schema at a path; or what is wrong with the path."""
    if not path.startswith("."):
        return None, f"expected [ or . but got: {path}"
    found: Any = schema
    for step in path[1:].split("."):
        if not step or "[" in step or "(" in step:
            return (
                None,
                "unexpected end of JSON path"
                if not step
                else f"does not refer to a valid field: {step}",
            )
        properties = found.get("properties") or {}
        values = found.get("additionalProperties")
        if step in properties:
            found = properties[step]
        elif isinstance(values, dict):
            found = values
        else:
            return None, "does not refer to a valid field"
    return found, ""


def check_conversion(conversion: Document | None, where: str) -> list[Cause]:
    """None is the only strategy that is served; that of webhooks is refused by its name."""
    if conversion is None:
        return []
    strategy = conversion.get("strategy") or ""
    if not strategy:
        return [names.required(f"{where}.strategy")]
    if strategy == "Webhook":
        detail = "conversion by webhook is not served yet, only None is"
        return [names.forbidden(f"{where}.strategy", detail)]
    if strategy != "None":
        return [names.unsupported(f"{where}.strategy", strategy, ("None", "Webhook"))]
    if conversion.get("webhook") is not None:
        detail = "should not be set when strategy is not set to Webhook"
        return [names.forbidden(f"{where}.webhookClientConfig", detail)]
    return []
