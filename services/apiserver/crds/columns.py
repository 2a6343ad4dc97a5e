"""The cells of ``additionalPrinterColumns``."""

import json
from typing import Any

from pilothouse.services.apiserver.crds.jsonpath import BadPath, compile_path
from pilothouse.services.apiserver.kinds.custom import PrinterColumn
from pilothouse.services.machinery import timestamps

AGE_TEXT = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. "
    "It is not guaranteed to be set in happens-before order across separate operations. Clients "
    "may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the "
    "system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/"
    "sig-architecture/api-conventions.md#metadata"
)
DEFAULT = (PrinterColumn("Age", "date", ".metadata.creationTimestamp", description=AGE_TEXT),)


def text_of(column: PrinterColumn) -> str:
    """What the column's definition says it is."""
    told = f"Custom resource definition column (in JSONPath format): {column.path}"
    return column.description or told


def value_of(column: PrinterColumn, document: Any) -> Any:
    """The value to show, None for an empty cell; of a date its text, or ``<invalid>``."""
    try:
        found = compile_path(column.path)(document)
    except BadPath:
        return None
    if not found or found[0] is None:
        return None
    return _cell(column.type, found[0])


def _cell(type_: str, value: Any) -> Any:
    match type_:
        case "string":
            return _text(value)
        case "integer" if type(value) in (int, float):
            return int(value)
        case "number" if type(value) in (int, float):
            return float(value) if type(value) is float else value
        case "boolean" if type(value) is bool:
            return value
        case "date" if type(value) is str:
            return value if _is_time(value) else "<invalid>"
    return None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _is_time(text: str) -> bool:
    try:
        timestamps.parse(text)
    except ValueError:
        return False
    return True
