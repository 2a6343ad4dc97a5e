"""A kind with all that its requests need, looked up once."""

from dataclasses import dataclass

from pilothouse.services.apiserver.cache.kindcache import KindCache
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects import refusals
from pilothouse.services.apiserver.objects.owned import Ways, ways_of
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.requests import Target
from pilothouse.services.apiserver.strategies import every
from pilothouse.services.apiserver.strategies.strategy import Strategy


@dataclass(frozen=True, slots=True)
class Served:
    """``kind`` as the path names it; ``rests`` as it is stored, mostly the same."""

    kind: Kind
    rests: Kind
    ways: Ways
    strategy: Strategy
    objects: KindCache


class Kinds:
    """Finds what a target is about."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._served: dict[int, tuple[Kind, Served]] = {}

    def kind(self, target: Target, verb: str) -> Kind:
        """The kind; NotFound or MethodNotAllowed when it is not served so."""
        kind = self._parts.catalog.lookup(target.group, target.version, target.plural)
        if not target.subresource:
            if verb not in kind.verbs:
                raise refusals.not_allowed(kind, verb)
            return kind
        subresource = kind.subresources.get(target.subresource)
        if subresource is None:
            raise refusals.not_found(kind, target.name)
        if verb not in subresource.verbs:
            raise refusals.not_allowed(kind, verb, target.subresource)
        return kind

    def served(self, kind: Kind) -> Served:
        """All about a stored kind."""
        found = self._served.get(id(kind))
        if found is None or found[0] is not kind:
            rests = self._parts.catalog.stored(kind)
            # Each version of a custom kind has ways of its own; others those of what they rest as.
            ruled = rests if kind.custom is None else kind
            served = Served(
                kind,
                rests,
                ways_of(ruled, self._parts.event_seconds),
                every.of(kind),
                self._parts.cache.of(rests),
            )
            self._served[id(kind)] = found = (kind, served)
        return found[1]
