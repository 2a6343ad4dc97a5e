"""The kinds that CustomResourceDefinitions add while the cluster lives."""

from collections.abc import Callable

from pilothouse.services.controllers.adapters.world import World
from pilothouse.services.machinery.kinds.definitions import Definition, resource_of
from pilothouse.services.machinery.resources import Resource

DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition",
    namespaced=False,
)  # fmt: skip

Listener = Callable[[Resource | None, Resource | None], None]


class Definitions:
    """Each as one of its served versions."""

    def __init__(self, world: World) -> None:
        self._cache = world.cache(DEFINITIONS, Definition)

    def served(self) -> list[Resource]:
        """The custom kinds whose objects can be read now."""
        found = (resource_of(definition) for definition in self._cache.values())
        return [resource for resource in found if resource is not None]

    def on_change(self, listener: Listener) -> None:
        """Call ``listener(old, new)`` whenever a kind comes, goes or is served as another."""

        def changed(old: Definition | None, new: Definition | None) -> None:
            before = None if old is None else resource_of(old)
            after = None if new is None else resource_of(new)
            if before != after:
                listener(before, after)

        self._cache.on_change(changed)
