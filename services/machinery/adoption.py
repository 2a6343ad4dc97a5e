"""Whose things are whose: what an owner controls, takes because nobody does, and lets go."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pilothouse.services.machinery.labels import Selector
from pilothouse.services.machinery.objects import Metadata, Viewed, controller_of

V = TypeVar("V", bound=Viewed)


@dataclass(frozen=True, slots=True)
class Claim(Generic[V]):
    """Sorted by name; ``adopt`` is a part of ``owned``, ``release`` is not."""

    owned: tuple[V, ...]
    adopt: tuple[V, ...]
    release: tuple[V, ...]


def _anything(_: Viewed) -> bool:
    return True


def claimed(
    owner: Metadata,
    selector: Selector | None,
    near: Iterable[V],
    fits: Callable[[V], bool] = _anything,
) -> Claim[V]:
    """``near`` are things of the namespace that ``owner`` controls or that nobody controls.

    They are its own if ``selector`` matches and ``fits`` says so; an owner on its way out neither
    takes nor gives.
    """
    owned: list[V] = []
    adopt: list[V] = []
    release: list[V] = []
    for item in sorted(near, key=lambda item: item.metadata.name):
        metadata = item.metadata
        matches = selector is not None and selector.matches(metadata.labels) and fits(item)
        controller = controller_of(metadata)
        if controller is not None and controller.uid == owner.uid:
            if matches:
                owned.append(item)
            elif not owner.deleting:
                release.append(item)
        elif controller is None and matches and not owner.deleting and not metadata.deleting:
            owned.append(item)
            adopt.append(item)
    return Claim(tuple(owned), tuple(adopt), tuple(release))
