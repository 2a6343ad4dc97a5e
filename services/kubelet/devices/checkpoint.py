"""Who has which device, as the file ``kubelet_internal_checkpoint`` keeps it. Pure."""

import base64
import json
import zlib
from typing import TYPE_CHECKING, Any

from pilothouse.services.kubelet.devices.inventory import Assignment, Inventory, Offer, Owner

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_NUMA_NODE = "-1"


def encode(inventory: Inventory) -> str:
    """The whole file."""
    entries = [
        {
            "PodUID": owner.uid,
            "ContainerName": owner.container,
            "ResourceName": item.resource,
            "DeviceIDs": _by_numa_node(inventory, item),
            "AllocResp": base64.b64encode(item.answer).decode(),
        }
        for owner, assignments in inventory.assigned.items()
        for item in assignments
    ]
    registered = {name: sorted(offer.devices) for name, offer in inventory.offers.items()}
    kept = {"PodDeviceEntries": entries, "RegisteredDevices": registered}
    return json.dumps({"Data": kept, "Checksum": _checksum(kept)})


def _by_numa_node(inventory: Inventory, item: Assignment) -> dict[str, list[str]]:
    offer = inventory.offers.get(item.resource) or Offer()
    nodes: dict[str, list[str]] = {}
    for id_ in item.ids:
        device = offer.devices.get(id_)
        near: Iterable[Any] = (device.numa_nodes if device else ()) or (NO_NUMA_NODE,)
        for node in near:
            nodes.setdefault(str(node), []).append(id_)
    return nodes


def decode(text: str, now: float) -> Inventory:
    """What was kept; nothing at all from a file that is not whole.

    Resources are without devices until their plugins are back.
    """
    try:
        whole = json.loads(text)
        kept = whole["Data"]
        if whole["Checksum"] != _checksum(kept):
            return Inventory()
        assigned: dict[Owner, tuple[Assignment, ...]] = {}
        for entry in kept["PodDeviceEntries"] or ():
            owner = Owner(entry["PodUID"], entry["ContainerName"])
            ids = sorted({id_ for ids in entry["DeviceIDs"].values() for id_ in ids})
            answer = base64.b64decode(entry["AllocResp"])
            item = Assignment(entry["ResourceName"], tuple(ids), answer)
            assigned[owner] = (*assigned.get(owner, ()), item)
        offers = {name: Offer(gone_at=now) for name in kept["RegisteredDevices"] or {}}
        return Inventory(offers, assigned)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Inventory()


def _checksum(kept: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(kept, sort_keys=True).encode())
