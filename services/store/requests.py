"""What can be asked of the store, as values, and the rules every request must meet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from pilothouse.services.store import errors
from pilothouse.services.store.spans import Span, of_request


class Sort(IntEnum):
    """The order of a range's answer; numbers as on the wire."""

    NONE = 0
    ASCEND = 1
    DESCEND = 2


class Target(IntEnum):
    """What a range is sorted by; numbers as on the wire."""

    KEY = 0
    VERSION = 1
    CREATE = 2
    MOD = 3
    VALUE = 4


class Field(IntEnum):
    """What a compare looks at; numbers as on the wire."""

    VERSION = 0
    CREATE = 1
    MOD = 2
    VALUE = 3
    LEASE = 4


class Relation(IntEnum):
    """How a compare holds; numbers as on the wire."""

    EQUAL = 0
    GREATER = 1
    LESS = 2
    NOT_EQUAL = 3


@dataclass(frozen=True, slots=True)
class Bounds:
    """Revisions between which entries are wanted; 0 does not bound."""

    mod_min: int = 0
    mod_max: int = 0
    create_min: int = 0
    create_max: int = 0

    @property
    def given(self) -> bool:
        return bool(self.mod_min or self.mod_max or self.create_min or self.create_max)


@dataclass(frozen=True, slots=True)
class Range:
    """Read keys; ``revision`` 0 is the newest, ``limit`` 0 is all."""

    key: bytes
    range_end: bytes = b""
    limit: int = 0
    revision: int = 0
    order: Sort = Sort.NONE
    target: Target = Target.KEY
    keys_only: bool = False
    count_only: bool = False
    bounds: Bounds = Bounds()

    def span(self) -> Span:
        return of_request(self.key, self.range_end)


@dataclass(frozen=True, slots=True)
class Put:
    """Write a key."""

    key: bytes
    value: bytes = b""
    lease: int = 0
    prev_kv: bool = False
    ignore_value: bool = False
    ignore_lease: bool = False


@dataclass(frozen=True, slots=True)
class DeleteRange:
    """Delete keys."""

    key: bytes
    range_end: bytes = b""
    prev_kv: bool = False

    def span(self) -> Span:
        return of_request(self.key, self.range_end)


@dataclass(frozen=True, slots=True)
class Compare:
    """A condition on every key of a span; ``value`` is an int, or bytes for ``Field.VALUE``."""

    key: bytes
    field: Field
    relation: Relation
    value: int | bytes
    range_end: bytes = b""

    def span(self) -> Span:
        return of_request(self.key, self.range_end)


@dataclass(frozen=True, slots=True)
class Txn:
    """If all compares hold then ``success``, else ``failure``, in one revision."""

    compare: Sequence[Compare] = ()
    success: "Sequence[Operation]" = ()
    failure: "Sequence[Operation]" = ()


Operation: TypeAlias = Range | Put | DeleteRange | Txn


def check(operation: Operation) -> None:
    """Raise etcd's refusal of a request that can never be served."""
    if isinstance(operation, Txn):
        _check_txn(operation, errors.TXN_OPERATIONS_MAX)
        for branch in (operation.success, operation.failure):
            _written_once(branch)
    else:
        _check_plain(operation)


def plain(operations: Sequence[Operation]) -> Iterator[Range | Put | DeleteRange]:
    """Every operation that these may come to, whichever branches are taken."""
    for operation in operations:
        if isinstance(operation, Txn):
            yield from plain(operation.success)
            yield from plain(operation.failure)
        else:
            yield operation


def _check_plain(operation: Range | Put | DeleteRange) -> None:
    if not operation.key:
        raise errors.empty_key()
    if isinstance(operation, Put):
        if operation.ignore_value and operation.value:
            raise errors.value_provided()
        if operation.ignore_lease and operation.lease:
            raise errors.lease_provided()


def _check_txn(txn: Txn, operations_max: int) -> None:
    operations = max(len(txn.compare), len(txn.success), len(txn.failure))
    if operations > operations_max:
        raise errors.too_many_operations()
    if not all(compare.key for compare in txn.compare):
        raise errors.empty_key()
    for operation in (*txn.success, *txn.failure):
        if isinstance(operation, Txn):
            _check_txn(operation, operations_max - operations)
        else:
            _check_plain(operation)


@dataclass(slots=True)
class _Written:
    """What one branch may write."""

    puts: set[bytes]
    deletes: list[Span]

    def refuse_overlap(self, other: "_Written") -> None:
        if self.puts & other.puts:
            raise errors.duplicate_key()
        for puts, deletes in ((self.puts, other.deletes), (other.puts, self.deletes)):
            if any(key in span for span in deletes for key in puts):
                raise errors.duplicate_key()

    def add(self, other: "_Written") -> None:
        self.puts |= other.puts
        self.deletes += other.deletes


def _written_once(operations: Sequence[Operation]) -> _Written:
    """Refuse a branch that writes a key twice; deletions may overlap each other.

    The branches of a nested transaction exclude each other, so both may write the same key.
    Stricter than etcd in one place: a key put by one nested transaction and deleted by a later one
    is refused, so that a key changes at most once in a revision.
    """
    written = _Written(set(), [])
    for operation in operations:
        if isinstance(operation, DeleteRange):
            written.deletes.append(operation.span())
    for operation in operations:
        if isinstance(operation, Txn):
            branches = [_written_once(operation.success), _written_once(operation.failure)]
            for branch in branches:
                written.refuse_overlap(branch)
            for branch in branches:
                written.add(branch)
    for operation in operations:
        if isinstance(operation, Put):
            put = _Written({operation.key}, [])
            written.refuse_overlap(put)
            written.add(put)
    return written
