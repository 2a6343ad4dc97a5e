"""What strict reading has against a body, in the real server's words and order. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects import refusals
from pilothouse.services.apiserver.requests import PatchType
from pilothouse.services.machinery.errors import ApiError, BadRequest

_LINE = "line "


def places(value: Any) -> dict[str, int]:
    """Where each field stands in a document, by its path."""
    found: dict[str, int] = {}
    _number(value, "", found)
    return found


def _number(value: Any, path: str, found: dict[str, int]) -> None:
    if isinstance(value, dict):
        before = f"{path}." if path else ""
        for key, item in value.items():
            found[f"{before}{key}"] = len(found)
            _number(item, f"{before}{key}", found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _number(item, f"{path}[{index}]", found)


def complaints(
    duplicates: Sequence[str], unknown: Sequence[str], at: Mapping[str, int]
) -> list[str]:
    """Both sorts together: of YAML its lines first, of JSON as they stand in the document."""
    if any(each.startswith(_LINE) for each in duplicates):
        return ["yaml: unmarshal errors:\n  " + "\n  ".join(duplicates), *sorted(unknown)]
    every = (*repeated(duplicates, unknown), *unknown)
    return sorted(every, key=lambda each: at.get(_path(each), len(at)))


def repeated(duplicates: Sequence[str], unknown: Sequence[str]) -> tuple[str, ...]:
    """The duplicates without those that are unknown anyway: these are told of once."""
    if not unknown:
        return tuple(duplicates)
    nameless = {_path(each) for each in unknown}
    return tuple(each for each in duplicates if _path(each) not in nameless)


def _path(complaint: str) -> str:
    return complaint.partition('"')[2].removesuffix('"')


def refuse_object(kind: Kind, told: Sequence[str]) -> BadRequest:
    """The refusal of a whole object."""
    return BadRequest(
        f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
        f"strict decoding error: {', '.join(told)}"
    )


def refuse_patch(sort: PatchType, content: Any, told: Sequence[str]) -> ApiError:
    """The refusal of a patch that names a key twice."""
    if sort == "apply":
        return BadRequest(f"error strict decoding patch: {', '.join(told)}")
    if sort == "json":
        told = [f"json patch {each}" for each in told]
    return refusals.invalid_patch(content, f"strict decoding error: {', '.join(told)}")
