"""Which ids of the host the users of a pod with its own user namespace are. Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

IDS_PER_POD = 65_536


@dataclass(frozen=True, slots=True)
class IdRange:
    """Ids 0 and up inside are ``first`` and up outside."""

    first: int
    length: int = IDS_PER_POD


def free(taken: Iterable[IdRange], pods_max: int, length: int = IDS_PER_POD) -> IdRange | None:
    """The lowest range that is nobody's; the first belongs to the host. None when all are."""
    firsts = {item.first for item in taken}
    for place in range(1, pods_max + 1):
        if place * length not in firsts:
            return IdRange(place * length, length)
    return None


def encode(found: IdRange) -> str:
    """As a pod's directory keeps it, in the kubelet's own words."""
    mapping = [{"hostId": found.first, "containerId": 0, "length": found.length}]
    return json.dumps({"uidMappings": mapping, "gidMappings": mapping})


def decode(text: str) -> IdRange | None:
    """None for what is no such record."""
    try:
        mapping = json.loads(text)["uidMappings"][0]
        return IdRange(int(mapping["hostId"]), int(mapping["length"]))
    except (ValueError, KeyError, IndexError, TypeError):
        return None
