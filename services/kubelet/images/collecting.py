"""Which images go: the longest unused first, none that is in use, pinned or new. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PERCENT = 100
NAMES_MAX = 5
"""As many names of one image does a Node tell."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An image on the node; ``names``: digests, then tags."""

    id: str
    names: tuple[str, ...] = ()
    bytes: int = 0
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """When an image was seen first and used last; 0: never, as far as anybody remembers."""

    seen_at: float
    used_at: float = 0.0


Records = Mapping[str, Record]


@dataclass(frozen=True, slots=True)
class Policy:
    """Percentages of the disk, ages in seconds; ``age_max`` 0: an image is never too old."""

    high: int
    low: int
    age_min: float
    age_max: float = 0.0


def follow(
    before: Records, images: Iterable[Stored], used: frozenset[str], now: float
) -> dict[str, Record]:
    """The records of what is there now; ``used``: ids and names that containers run from."""
    found = {}
    for image in images:
        record = before.get(image.id, Record(now))
        found[image.id] = Record(record.seen_at, now) if is_used(image, used) else record
    return found


def is_used(image: Stored, used: frozenset[str]) -> bool:
    """Whether a container is made of it, or it is to stay."""
    return image.pinned or image.id in used or any(name in used for name in image.names)


def too_much(capacity: int, available: int, policy: Policy) -> int:
    """Bytes to free: from the high mark on, down to the low one."""
    if capacity <= 0:
        return 0
    usage = PERCENT - available * PERCENT // capacity
    if usage < policy.high:
        return 0
    return max(capacity * (PERCENT - policy.low) // PERCENT - available, 0)


def unused(
    images: Sequence[Stored], records: Records, used: frozenset[str], now: float, policy: Policy
) -> list[Stored]:
    """What may go, first what should go first."""
    free = [
        image
        for image in images
        if not is_used(image, used) and now - records[image.id].seen_at >= policy.age_min
    ]
    return sorted(free, key=lambda item: (records[item.id].used_at, records[item.id].seen_at))


def plan(candidates: Sequence[Stored], bytes_wanted: int) -> list[Stored]:
    """As many of them, in their order, as it takes."""
    chosen, freed = [], 0
    for image in candidates:
        if freed >= bytes_wanted:
            break
        chosen.append(image)
        freed += image.bytes
    return chosen


def outdated(
    candidates: Sequence[Stored], records: Records, now: float, policy: Policy
) -> list[Stored]:
    """Those that nobody has used for too long."""
    if not policy.age_max:
        return []
    since = {image.id: max(records[image.id].used_at, records[image.id].seen_at)
             for image in candidates}  # fmt: skip
    return [image for image in candidates if now - since[image.id] > policy.age_max]


def told(images: Iterable[Stored], most: int) -> list[dict[str, Any]]:
    """``status.images`` of the Node: the largest; ``most`` -1: all."""
    largest = sorted(images, key=lambda item: (-item.bytes, item.id))
    chosen = largest if most < 0 else largest[:most]
    return [{"names": list(item.names[:NAMES_MAX]), "sizeBytes": item.bytes} for item in chosen]
