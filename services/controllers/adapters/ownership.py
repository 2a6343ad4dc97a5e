"""Taking and giving up objects: who is named as the controller in ``ownerReferences``."""

from collections.abc import Sequence
from typing import Any

import msgspec

from pilothouse.services.machinery.errors import Conflict
from pilothouse.services.machinery.objects import Metadata, Object, owner_reference
from pilothouse.services.machinery.resources import Resource
from pilothouse.services.runtime.client.objects import Objects

_DECODER = msgspec.json.Decoder(Object)


async def adopt(
    objects: Objects,
    resource: Resource,
    item: Metadata,
    kind: Resource,
    owner: Metadata,
    finalizers: Sequence[str] | None = None,
) -> str:
    """Make ``owner`` the controller of ``item``, with these finalizers if given; its new JSON.

    Conflict when either changed meanwhile. The owner is asked for once more, since a deleted one
    may linger in a cache.
    """
    present = _DECODER.decode(await objects.get(kind, owner.key)).metadata
    if present.uid != owner.uid or present.deleting:
        raise Conflict(f"{kind.kind} {owner.key} is gone or going, it takes nothing more")
    # One that it belonged to without being controlled is now its controller, and named once.
    kept = [_rendered(known) for known in item.owner_references if known.uid != owner.uid]
    owners = [*kept, owner_reference(kind, owner)]
    return await _write(objects, resource, item, owners, finalizers)


async def release(
    objects: Objects,
    resource: Resource,
    item: Metadata,
    owner: Metadata,
    finalizers: Sequence[str] | None = None,
) -> str:
    """Take ``owner`` out of the owners of ``item``, with these finalizers if given; its new JSON.

    Conflict when it changed meanwhile.
    """
    kept = [_rendered(known) for known in item.owner_references if known.uid != owner.uid]
    return await _write(objects, resource, item, kept, finalizers)


async def _write(
    objects: Objects,
    resource: Resource,
    item: Metadata,
    owners: list[dict[str, Any]],
    finalizers: Sequence[str] | None,
) -> str:
    patch: dict[str, Any] = {
        "uid": item.uid,
        "resourceVersion": item.resource_version,
        "ownerReferences": owners or None,
    }
    if finalizers is not None:
        patch["finalizers"] = list(finalizers) or None
    return await objects.patch(resource, item.key, {"metadata": patch})


def _rendered(owner: object) -> dict[str, Any]:
    rendered: dict[str, Any] = msgspec.to_builtins(owner)
    return rendered
