"""Deleting what a controller has seen."""

from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.objects import Metadata
from pilothouse.services.machinery.resources import Resource
from pilothouse.services.runtime.client.objects import Objects


async def remove(
    objects: Objects,
    resource: Resource,
    item: Metadata,
    *,
    grace_period_seconds: int | None = None,
    propagation_policy: str = "",
) -> bool:
    """Delete this very object, no successor of its name; whether it was still there."""
    try:
        await objects.delete(
            resource,
            item.key,
            uid=item.uid,
            grace_period_seconds=grace_period_seconds,
            propagation_policy=propagation_policy,
        )
    except NotFound:
        return False
    return True
