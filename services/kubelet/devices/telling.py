"""What a pod's status says of its devices. Pure."""

from collections.abc import Callable
from typing import Any

FIELD = "allocatedResourcesStatus"


def tell(status: dict[str, Any], health: Callable[[str], list[dict[str, Any]]]) -> dict[str, Any]:
    """The status with the health of what each container has; ``health`` is by container's name."""
    told = dict(status)
    for part in ("containerStatuses", "initContainerStatuses"):
        if part in status:
            told[part] = [_entry(item, health(item["name"])) for item in status[part]]
    return told


def _entry(item: dict[str, Any], health: list[dict[str, Any]]) -> dict[str, Any]:
    return item | {FIELD: health} if health else item
