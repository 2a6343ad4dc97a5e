"""From a change in a cache to keys in a queue: the handlers that most controllers need."""

from collections.abc import Callable
from typing import TypeVar

from pilothouse.services.controllers.adapters import indexes
from pilothouse.services.machinery.labels import Selector
from pilothouse.services.machinery.objects import Key, Viewed, controller_of
from pilothouse.services.machinery.resources import Resource
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.control.queue import WorkQueue

V = TypeVar("V", bound=Viewed)
Changed = Callable[[V | None, V | None], None]


def itself(queue: WorkQueue[Key]) -> Callable[[Viewed | None, Viewed | None], None]:
    """Look again at whatever changed."""

    def changed(old: Viewed | None, new: Viewed | None) -> None:
        item = new if new is not None else old
        if item is not None:
            queue.add(item.metadata.key)

    return changed


def its_controller(
    queue: WorkQueue[Key], kind: Resource
) -> Callable[[Viewed | None, Viewed | None], None]:
    """Look again at the controller of whatever changed, if it is of this kind."""

    def changed(old: Viewed | None, new: Viewed | None) -> None:
        for item in (old, new):
            owner = controller_of(item.metadata) if item is not None else None
            if item is not None and owner is not None and owner.kind == kind.kind:
                queue.add(Key(item.metadata.namespace, owner.name))

    return changed


def its_takers(
    queue: WorkQueue[Key], takers: Cache[V], selector_of: Callable[[V], Selector | None]
) -> Callable[[Viewed | None, Viewed | None], None]:
    """Look again at all whose selector matches a changed object that nobody controls."""

    def changed(old: Viewed | None, new: Viewed | None) -> None:
        if new is None or new.metadata.deleting or controller_of(new.metadata) is not None:
            return
        for taker in takers.by_index(indexes.NAMESPACE, new.metadata.namespace):
            selector = selector_of(taker)
            if selector is not None and selector.matches(new.metadata.labels):
                queue.add(taker.metadata.key)

    return changed
