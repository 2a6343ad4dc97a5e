"""What has to change in the table, and which Service owns what stands there."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pilothouse.services.machinery.objects import Key
from pilothouse.services.proxy.contents import Contents, Slot

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

EMPTY = Contents()


@dataclass(frozen=True, slots=True)
class Change:
    """``old`` is what must go, ``new`` what must come; what is in both gets its new value."""

    old: Contents = field(default_factory=Contents)
    new: Contents = field(default_factory=Contents)

    def __bool__(self) -> bool:
        return self.old != EMPTY or self.new != EMPTY


def diff(old: Contents, new: Contents) -> Change:
    """The least change that makes ``new`` of ``old``."""
    return Change(_only_in(old, new), _only_in(new, old))


def apply(contents: Contents, change: Change) -> Contents:
    """``contents`` after ``change``: what the kernel does with it, as a value."""
    return Contents(
        _applied(contents.elements, change.old.elements, change.new.elements),
        _applied(contents.chains, change.old.chains, change.new.chains),
        (contents.client_sets - change.old.client_sets) | change.new.client_sets,
    )


def _only_in(these: Contents, those: Contents) -> Contents:
    return Contents(
        {slot: v for slot, v in these.elements.items() if those.elements.get(slot) != v},
        {name: v for name, v in these.chains.items() if those.chains.get(name) != v},
        these.client_sets - those.client_sets,
    )


def _applied(before: Mapping[K, V], old: Mapping[K, V], new: Mapping[K, V]) -> dict[K, V]:
    return {key: value for key, value in before.items() if key not in old} | dict(new)


class _Claims(Generic[K, V]):
    """Who wants which value at a key; the first to claim it keeps it until they leave."""

    def __init__(self) -> None:
        self._claims: dict[K, dict[Key, V]] = {}

    def current(self, keys: Iterable[K]) -> dict[K, V]:
        """Values that hold, of those keys that anyone claims."""
        return {
            key: next(iter(claims.values()))
            for key in keys
            if (claims := self._claims.get(key)) is not None
        }

    def replace(self, owner: Key, old: Mapping[K, V], new: Mapping[K, V]) -> None:
        for key, value in new.items():
            self._claims.setdefault(key, {})[owner] = value
        for key in old.keys() - new.keys():
            claims = self._claims[key]
            del claims[owner]
            if not claims:
                del self._claims[key]

    def all(self) -> dict[K, V]:
        return self.current(self._claims)


class Table:
    """The wanted table of all Services; the cost of a change grows with the change alone.

    Services share chains and hairpin elements, and two may want the same external address: each
    entry is there as long as one of them claims it.
    """

    def __init__(self) -> None:
        self._owned: dict[Key, Contents] = {}
        self._elements: _Claims[Slot, str] = _Claims()
        self._chains: _Claims[str, tuple[str, ...]] = _Claims()
        self._client_sets: _Claims[str, None] = _Claims()

    def replace(self, wanted: Mapping[Key, Contents]) -> Change:
        """Give each Service its new contents (empty: it is gone); what that changes."""
        touched = [self._owned.get(owner, EMPTY) for owner in wanted] + list(wanted.values())
        before = self._current(touched)
        for owner, new in wanted.items():
            self._claim(owner, self._owned.get(owner, EMPTY), new)
        return diff(before, self._current(touched))

    def contents(self) -> Contents:
        """The whole."""
        return Contents(
            self._elements.all(), self._chains.all(), frozenset(self._client_sets.all())
        )

    def _claim(self, owner: Key, old: Contents, new: Contents) -> None:
        self._elements.replace(owner, old.elements, new.elements)
        self._chains.replace(owner, old.chains, new.chains)
        self._client_sets.replace(
            owner, dict.fromkeys(old.client_sets), dict.fromkeys(new.client_sets)
        )
        if new == EMPTY:
            self._owned.pop(owner, None)
        else:
            self._owned[owner] = new

    def _current(self, touched: Iterable[Contents]) -> Contents:
        elements = {slot for item in touched for slot in item.elements}
        chains = {name for item in touched for name in item.chains}
        sets = {name for item in touched for name in item.client_sets}
        return Contents(
            self._elements.current(elements),
            self._chains.current(chains),
            frozenset(self._client_sets.current(sets)),
        )
