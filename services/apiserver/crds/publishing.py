"""The kinds that definitions make are served from the moment the cache shows them established."""

from collections.abc import Callable

import msgspec

from pilothouse.services.apiserver.cache.cache import Cache
from pilothouse.services.apiserver.crds.definition import Definition, Made, decode, make
from pilothouse.services.apiserver.kinds.catalog import Catalog
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.kinds.schemas import Schemas
from pilothouse.services.apiserver.requests import Stored
from pilothouse.services.machinery.schema.walker import Walkers
from pilothouse.services.runtime import telemetry

GROUP, VERSION, PLURAL = "apiextensions.k8s.io", "v1", "customresourcedefinitions"

Concerned = Callable[[str], None]
"""Takes the name of a definition that may need a look."""


class Definitions:
    """All definitions, and what is served because of them. Fed by the cache, in its order."""

    def __init__(self, catalog: Catalog, cache: Cache, schemas: Schemas, walkers: Walkers) -> None:
        self.by_name: dict[str, Definition] = {}
        self._catalog = catalog
        self._cache = cache
        self._schemas = schemas
        self._walkers = walkers
        self._made: dict[str, Made] = {}
        self._concerned: list[Concerned] = []
        self._log = telemetry.logger(part="definitions")
        cache.of(catalog.lookup(GROUP, VERSION, PLURAL)).subscribe(self._observe)

    def subscribe(self, concerned: Concerned) -> None:
        """Call ``concerned(name)`` whenever a definition, or an object of it, changes."""
        self._concerned.append(concerned)
        for name in self.by_name:
            concerned(name)

    def same_group(self, definition: Definition) -> list[Definition]:
        """The other definitions of its group."""
        return [
            other
            for other in self.by_name.values()
            if other.spec.group == definition.spec.group
            and other.metadata.name != definition.metadata.name
        ]

    def stored_kind(self, name: str) -> Kind | None:
        """The kind in whose shape the objects of a definition rest, if they are held."""
        made = self._made.get(name)
        return None if made is None else made.stored

    def _observe(self, old: Stored | None, new: Stored | None) -> None:
        stored = new or old
        if stored is None:
            return
        name = stored.key.name
        if new is None:
            self._forget(name)
        else:
            try:
                self._learn(name, decode(new.json))
            except (msgspec.MsgspecError, StopIteration) as error:
                self._log.error("not a definition", name=name, error=str(error))
                return
        self._tell(name)

    def _learn(self, name: str, definition: Definition) -> None:
        before = self.by_name.get(name)
        self.by_name[name] = definition
        made = self._made.get(name)
        if made is None or before is None or _differ(before, definition):
            reshaped = before is None or _shaped_differently(before, definition)
            self._make(name, definition, made, reshaped=reshaped)

    def _make(
        self, name: str, definition: Definition, before: Made | None, *, reshaped: bool
    ) -> None:
        made = make(definition, self._walkers)
        first = before is None or before.stored.place != made.stored.place
        if before is not None:
            self._retract(before)
            if first:
                self._cache.remove(before.stored)
        self._made[name] = made
        if reshaped or first:
            # Ends watches: only where what they show is another.
            self._cache.add(made.stored)
            self._cache.of(made.stored).subscribe(lambda _old, new: self._emptied(name, new))
        if not definition.is_true("Established"):
            return
        for definition_name, schema in made.schemas.items():
            self._schemas.add(definition_name, schema)
        for kind in made.served:
            self._catalog.add(kind)

    def _forget(self, name: str) -> None:
        gone = self.by_name.pop(name, None)
        made = self._made.pop(name, None)
        if made is not None:
            self._retract(made)
            self._cache.remove(made.stored)
        if gone is not None:
            # Its names are free now.
            for other in self.same_group(gone):
                self._tell(other.metadata.name)

    def _retract(self, made: Made) -> None:
        for kind in made.served:
            self._catalog.remove(kind)
        for definition_name in made.schemas:
            self._schemas.remove(definition_name)

    def _emptied(self, name: str, new: Stored | None) -> None:
        """The last object of a definition that is going has gone."""
        definition = self.by_name.get(name)
        if new is None and definition is not None and definition.terminating:
            self._tell(name)

    def _tell(self, name: str) -> None:
        for concerned in self._concerned:
            concerned(name)


def _shaped_differently(before: Definition, after: Definition) -> bool:
    names = before.status.accepted_names != after.status.accepted_names
    return names or before.spec != after.spec


def _differ(before: Definition, after: Definition) -> bool:
    """Whether what is served differs."""
    return (
        _shaped_differently(before, after)
        or before.is_true("Established") != after.is_true("Established")
        or before.terminating != after.terminating
    )
