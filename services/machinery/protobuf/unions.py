"""Messages whose JSON is not an object of their fields: both ways.

``UNFOLD`` takes the fields as the wire has them and returns JSON's value, None for none; ``FOLD``
takes JSON's value and returns the fields. Either raises ValueError on what has no counterpart.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from pilothouse.services.machinery.protobuf.wire import Malformed

_EPOCH = datetime.fromtimestamp(0, UTC)
_NANOSECONDS = 10**9
_TEXT = 1


def _instant(fields: dict[str, Any]) -> datetime:
    nanos = fields.get("nanos", 0)
    if not 0 <= nanos < _NANOSECONDS:
        raise Malformed("a time has nanoseconds that are none")
    try:
        return _EPOCH + timedelta(seconds=fields.get("seconds", 0), microseconds=nanos // 1000)
    except OverflowError:
        raise Malformed("a time is outside of the years 1 to 9999") from None


def _time(fields: dict[str, Any]) -> str | None:
    return _instant(fields).isoformat()[:19] + "Z" if fields else None


def _micro_time(fields: dict[str, Any]) -> str | None:
    if not fields:
        return None
    return _instant(fields).isoformat(timespec="microseconds")[:26] + "Z"


def _time_fields(value: str) -> dict[str, Any]:
    since = datetime.fromisoformat(value) - _EPOCH
    seconds = since // timedelta(seconds=1)
    return {"seconds": seconds, "nanos": since.microseconds * 1000}


def _int_or_string(fields: dict[str, Any]) -> int | str:
    text: str = fields.get("strVal", "")
    number: int = fields.get("intVal", 0)
    return text if fields.get("type", 0) == _TEXT else number


def _int_or_string_fields(value: int | str) -> dict[str, Any]:
    if isinstance(value, str):
        return {"type": _TEXT, "intVal": 0, "strVal": value}
    return {"type": 0, "intVal": value, "strVal": ""}


def _schema_or_bool(fields: dict[str, Any]) -> Any:
    return fields["schema"] if "schema" in fields else fields.get("allows", False)


def _schema_or_bool_fields(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"allows": value}
    return {"allows": True, "schema": value}


def _schema_or_list(fields: dict[str, Any]) -> Any:
    return fields.get("items") or fields.get("schema")


def _schema_or_list_fields(value: Any) -> dict[str, Any]:
    return {"items" if isinstance(value, list) else "schema": value}


Unfold = Callable[[dict[str, Any]], Any]
Fold = Callable[[Any], dict[str, Any]]

UNFOLD: dict[str, Unfold] = {
    "meta.v1.Time": _time,
    "meta.v1.MicroTime": _micro_time,
    "intstr.IntOrString": _int_or_string,
    "apiextensions.v1.JSONSchemaPropsOrBool": _schema_or_bool,
    "apiextensions.v1.JSONSchemaPropsOrArray": _schema_or_list,
    "apiextensions.v1.JSONSchemaPropsOrStringArray": _schema_or_list,
}
FOLD: dict[str, Fold] = {
    "meta.v1.Time": _time_fields,
    "meta.v1.MicroTime": _time_fields,
    "intstr.IntOrString": _int_or_string_fields,
    "apiextensions.v1.JSONSchemaPropsOrBool": _schema_or_bool_fields,
    "apiextensions.v1.JSONSchemaPropsOrArray": _schema_or_list_fields,
    "apiextensions.v1.JSONSchemaPropsOrStringArray": _schema_or_list_fields,
}
# What a message that is just one field is in JSON when that field is missing.
EMPTY: dict[str, str] = {"resource.Quantity": "0"}
