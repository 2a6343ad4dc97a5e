"""What a transaction comes to: its answers, and the changes it makes, all in one revision."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from pilothouse.services.machinery.storage import Change, Entry
from pilothouse.services.store import errors
from pilothouse.services.store.leases import Leases
from pilothouse.services.store.requests import (
    Bounds,
    Compare,
    DeleteRange,
    Field,
    Operation,
    Put,
    Range,
    Relation,
    Sort,
    Target,
    Txn,
)
from pilothouse.services.store.revisions import Revisions
from pilothouse.services.store.spans import Span

Past: TypeAlias = Mapping[tuple[Span, int], Sequence[Entry]]


@dataclass(frozen=True, slots=True)
class RangeAnswer:
    """``count`` is of all keys in the span, ``more`` says that the limit cut some off.

    ``revision``, in each kind of answer, is the newest once the operation was done.
    """

    entries: Sequence[Entry]
    count: int
    more: bool
    keys_only: bool
    revision: int = 0


@dataclass(frozen=True, slots=True)
class PutAnswer:
    """``previous`` only where it was asked for."""

    previous: Entry | None
    revision: int


@dataclass(frozen=True, slots=True)
class DeleteAnswer:
    """``previous`` only where they were asked for."""

    deleted: int
    previous: Sequence[Entry]
    revision: int


@dataclass(frozen=True, slots=True)
class TxnAnswer:
    """One answer to each operation of the branch that was taken."""

    succeeded: bool
    answers: "Sequence[Answer]"


Answer: TypeAlias = RangeAnswer | PutAnswer | DeleteAnswer | TxnAnswer


@dataclass(slots=True)
class _Path:
    """The branch that a transaction takes, nested ones resolved."""

    succeeded: bool
    operations: "list[Range | Put | DeleteRange | _Path]" = field(default_factory=list)


def evaluate(
    txn: Txn, revisions: Revisions, leases: Leases, past: Past
) -> tuple[TxnAnswer, list[Change]]:
    """Judge a checked transaction at the tip and stage its changes there.

    ``past`` has what older revisions held, for the ranges that ask for one. Raises an ApiError,
    with nothing staged, when an operation of the taken branch can not be done.
    """
    path = _path(txn, revisions)
    _check_path(path, revisions, leases, past)
    changes: list[Change] = []
    return _Application(revisions, past, changes).apply(path), changes


def select(request: Range, entries: Sequence[Entry], count: int) -> RangeAnswer:
    """Bound, sort and cut the entries of a span as a range asks; ``count`` is how many it has."""
    if request.count_only:
        return RangeAnswer((), count, more=False, keys_only=False)
    kept = [entry for entry in entries if _within(request.bounds, entry)]
    order = request.order
    if request.target is not Target.KEY and order is Sort.NONE:
        order = Sort.ASCEND
    if order is not Sort.NONE:
        kept.sort(key=_SORT_KEYS[request.target], reverse=order is Sort.DESCEND)
    more = 0 < request.limit < len(kept)
    return RangeAnswer(
        kept[: request.limit] if more else kept, count, more=more, keys_only=request.keys_only
    )


def fetch_limit(request: Range) -> int | None:
    """How many entries a range needs to be answered: one over its limit, or all (None)."""
    if request.limit <= 0 or request.order is not Sort.NONE or request.bounds.given:
        return None
    return request.limit + 1


_SORT_KEYS: dict[Target, Callable[[Entry], int | bytes]] = {
    Target.KEY: lambda entry: entry.key,
    Target.VERSION: lambda entry: entry.version,
    Target.CREATE: lambda entry: entry.create_revision,
    Target.MOD: lambda entry: entry.mod_revision,
    Target.VALUE: lambda entry: entry.value,
}


def _within(bounds: Bounds, entry: Entry) -> bool:
    modified, created = entry.mod_revision, entry.create_revision
    return (
        (not bounds.mod_max or modified <= bounds.mod_max)
        and (not bounds.mod_min or modified >= bounds.mod_min)
        and (not bounds.create_max or created <= bounds.create_max)
        and (not bounds.create_min or created >= bounds.create_min)
    )


def _path(txn: Txn, revisions: Revisions) -> _Path:
    succeeded = all(_holds(compare, revisions) for compare in txn.compare)
    path = _Path(succeeded)
    for operation in txn.success if succeeded else txn.failure:
        nested: Operation = operation
        path.operations.append(_path(nested, revisions) if isinstance(nested, Txn) else nested)
    return path


_ABSENT = Entry(b"", b"", 0, 0, 0, 0)


def _holds(compare: Compare, revisions: Revisions) -> bool:
    entries = revisions.newest_range(compare.span())
    if entries:
        return all(_compare(compare, entry) for entry in entries)
    # A key that is not there has revision, version and lease 0, but no value at all.
    return compare.field is not Field.VALUE and _compare(compare, _ABSENT)


# Both sides are int, or both bytes for VALUE: the edge decodes them so.
_FIELDS: dict[Field, Callable[[Entry], Any]] = {
    Field.VERSION: lambda entry: entry.version,
    Field.CREATE: lambda entry: entry.create_revision,
    Field.MOD: lambda entry: entry.mod_revision,
    Field.VALUE: lambda entry: entry.value,
    Field.LEASE: lambda entry: entry.lease,
}
_RELATIONS: dict[Relation, Callable[[Any, Any], bool]] = {
    Relation.EQUAL: operator.eq,
    Relation.GREATER: operator.gt,
    Relation.LESS: operator.lt,
    Relation.NOT_EQUAL: operator.ne,
}


def _compare(compare: Compare, entry: Entry) -> bool:
    return _RELATIONS[compare.relation](_FIELDS[compare.field](entry), compare.value)


def _check_path(path: _Path, revisions: Revisions, leases: Leases, past: Past) -> None:
    for operation in path.operations:
        if isinstance(operation, _Path):
            _check_path(operation, revisions, leases, past)
        elif isinstance(operation, Range):
            check_revision(operation.revision, revisions.tip, revisions.compacted)
            if operation.revision > 0 and (operation.span(), operation.revision) not in past:
                # It became the newest while its history was being read: at the time it was not.
                raise errors.future_revision()
        elif isinstance(operation, Put):
            _check_put(operation, revisions, leases)


def check_revision(revision: int, newest: int, compacted: int) -> None:
    """Raise when a read asks for a revision that is not there yet or not any more."""
    if revision > newest:
        raise errors.future_revision()
    if 0 < revision < compacted:
        raise errors.compacted()


def _check_put(put: Put, revisions: Revisions, leases: Leases) -> None:
    if (put.ignore_value or put.ignore_lease) and revisions.newest(put.key) is None:
        raise errors.key_not_found()
    if put.lease and leases.get(put.lease) is None:
        raise errors.lease_not_found()


class _Application:
    """One transaction at work: every change gets the same revision."""

    def __init__(self, revisions: Revisions, past: Past, changes: list[Change]) -> None:
        self._revisions = revisions
        self._past = past
        self._changes = changes
        self._revision = revisions.tip + 1

    def apply(self, path: _Path) -> TxnAnswer:
        return TxnAnswer(path.succeeded, [self._answer(item) for item in path.operations])

    def _answer(self, operation: "Range | Put | DeleteRange | _Path") -> Answer:
        if isinstance(operation, _Path):
            return self.apply(operation)
        if isinstance(operation, Range):
            return self._range(operation)
        if isinstance(operation, Put):
            return self._put(operation)
        return self._delete(operation)

    def _range(self, request: Range) -> RangeAnswer:
        if request.revision > 0:
            entries = self._past[request.span(), request.revision]
        else:
            entries = self._revisions.newest_range(request.span())
        answer = select(request, entries[: fetch_limit(request)], len(entries))
        return replace(answer, revision=self._revisions.tip)

    def _put(self, put: Put) -> PutAnswer:
        previous = self._revisions.newest(put.key)
        value, lease = put.value, put.lease
        if previous is not None and put.ignore_value:
            value = previous.value
        if previous is not None and put.ignore_lease:
            lease = previous.lease
        self._changes.append(self._revisions.put(put.key, value, lease, self._revision))
        return PutAnswer(previous if put.prev_kv else None, self._revision)

    def _delete(self, request: DeleteRange) -> DeleteAnswer:
        entries = self._revisions.newest_range(request.span())
        self._changes += [self._revisions.delete(entry, self._revision) for entry in entries]
        return DeleteAnswer(len(entries), entries if request.prev_kv else (), self._revisions.tip)
