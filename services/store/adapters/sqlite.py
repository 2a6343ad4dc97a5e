"""The journal as a SQLite database: write-ahead log, synchronous=FULL, one connection that writes.

``log`` holds one row a change, its id made of the revision and a count within it, so rows are only
ever appended. A row names the revision of the row it supersedes: what a key was at any revision is
found by following changes backwards, and compaction by following them once; no second index.
"""

import contextlib
import fcntl
import os
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import aiosqlite

from pilothouse.services.machinery.storage import Change, Entry, Unavailable
from pilothouse.services.store.compaction import Row, plan
from pilothouse.services.store.ports import Restored, Size, StoredLease
from pilothouse.services.store.spans import Span

FILE_MODE = 0o600
IN_MEMORY = ":memory:"
SWEEP_ROWS = 500
TRIM_PAGES = 2_000
STATEMENT_ROWS_MAX = 64
WAL_BYTES_KEPT = 4 * 1024 * 1024
CACHE_BYTES = 512 * 1024
SCHEMA_VERSION = 1

_ORDER_BITS = 24
_ORDER_MASK = (1 << _ORDER_BITS) - 1
_CACHED_STATEMENTS = 160

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB,"
    " create_revision INTEGER NOT NULL, version INTEGER NOT NULL, lease INTEGER NOT NULL,"
    " previous INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS leases (id INTEGER PRIMARY KEY, ttl_seconds INTEGER NOT NULL,"
    " expires_at REAL NOT NULL)",
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
)
# Queries are put together from the constants below; values are always bound.
_INSERT = "INSERT INTO log VALUES "
_ROW = "(?,?,?,?,?,?,?)"
_COLUMNS = "l.id, l.key, l.value, l.create_revision, l.version, l.lease"
_PREVIOUS = (
    f"LEFT JOIN log p ON p.id BETWEEN l.previous << {_ORDER_BITS}"
    f" AND (l.previous << {_ORDER_BITS}) + {_ORDER_MASK} AND p.key = l.key AND l.previous > 0"
)
_PREVIOUS_COLUMNS = _COLUMNS.replace("l.", "p.")
_ALL = f"SELECT {_COLUMNS} FROM log l ORDER BY l.id"  # noqa: S608 - constants
_BETWEEN = (
    f"SELECT {_COLUMNS}, {_PREVIOUS_COLUMNS} FROM log l {_PREVIOUS}"  # noqa: S608 - constants
    " WHERE l.id > ? AND l.id <= ?"
)
_SUPERSEDED = (
    f"SELECT {_PREVIOUS_COLUMNS} FROM log l"  # noqa: S608 - constants
    f" {_PREVIOUS.replace('LEFT', 'CROSS')} WHERE l.id > ? AND l.previous <= ?"
)
_SWEPT = (
    f"SELECT l.id, l.value IS NULL, p.id FROM log l {_PREVIOUS}"  # noqa: S608 - constants
    " WHERE l.id > ? AND l.id <= ? ORDER BY l.id LIMIT ?"
)

_Values: TypeAlias = list[int | bytes | None]


class _Connection(aiosqlite.Connection):
    """aiosqlite with whole transactions as one trip to its thread."""

    async def run(self, act: Callable[..., Any], *args: Any) -> Any:
        """Call ``act(connection, *args)`` on the database's thread; Unavailable if it fails."""
        if self._connection is None:
            raise Unavailable("the database is closed")
        execute: Callable[..., Awaitable[Any]] = self._execute
        try:
            return await execute(act, self._connection, *args)
        except sqlite3.Error as error:
            raise Unavailable(f"the database: {error}") from error


class Line(Protocol):
    """A way to the database: ``run`` raises Unavailable."""

    async def run(self, act: Callable[..., Any], *args: Any) -> Any: ...
    async def close(self) -> None: ...


class SqliteJournal:
    """One database file, or one in memory. Reads use a connection of their own."""

    def __init__(self, writer: Line, reader: Line, lock: int | None = None) -> None:
        self._writer = writer
        self._reader = reader
        self._lock = lock

    @classmethod
    async def open(cls, path: str) -> "SqliteJournal":
        """Open or create the database at ``path``, for this process alone.

        ``:memory:`` keeps nothing. Raises OSError where another process has it open.
        """
        async with contextlib.AsyncExitStack() as stack:
            lock = None
            if path != IN_MEMORY:
                lock = _claim(Path(path))
                stack.callback(os.close, lock)
            writer = await _connect(path)
            stack.push_async_callback(writer.close)
            await writer.run(prepare)
            reader = writer
            if lock is not None:
                reader = await _connect(path)
                stack.push_async_callback(reader.close)
                await reader.run(_bound_cache)
            stack.pop_all()
            return cls(writer, reader, lock)

    async def restore(self) -> Restored:
        restored: Restored = await self._writer.run(_restore)
        return restored

    async def append(
        self, changes: Sequence[Change], leases: Mapping[int, StoredLease | None]
    ) -> None:
        await self._writer.run(_append, list(_statements(changes)), leases)

    async def changes(
        self, span: Span, after: int, until: int, limit: int
    ) -> tuple[Sequence[Change], int]:
        found: tuple[Sequence[Change], int] = await self._reader.run(
            _changes, span, (after, until), limit
        )
        return found

    async def undone(self, span: Span, revision: int) -> Sequence[Entry]:
        entries: Sequence[Entry] = await self._reader.run(_undone, span, revision)
        return entries

    async def compact(self, revision: int) -> bool:
        if await self._writer.run(_note_compacted, revision) or await self._writer.run(_sweep):
            return True
        while await self._writer.run(_vacuum):
            pass
        await self._writer.run(_checkpoint)
        return False

    async def size(self) -> Size:
        size: Size = await self._reader.run(_size)
        return size

    async def close(self) -> None:
        if self._reader is not self._writer:
            await self._reader.close()
        await self._writer.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _claim(path: Path) -> int:
    """Make the file, for its owner only, and lock it: two writers would not know of each other."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A file of its own: to close one of the database's would drop SQLite's locks.
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    if not path.exists():
        path.touch(mode=FILE_MODE)
    return lock


async def _connect(path: str) -> _Connection:
    def connector() -> sqlite3.Connection:
        connection = sqlite3.connect(
            path,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_CACHED_STATEMENTS,
        )
        connection.execute("PRAGMA busy_timeout = 5000")
        # Joins here go by row id within a few rows; an index made on the fly would read them all.
        connection.execute("PRAGMA automatic_index = OFF")
        return connection

    connection = _Connection(connector, iter_chunk_size=64)
    await connection
    return connection


def _bound_cache(connection: sqlite3.Connection) -> None:
    # Rows are appended, and what is read often is in memory already.
    connection.execute(f"PRAGMA cache_size = -{CACHE_BYTES // 1024}")


def prepare(connection: sqlite3.Connection) -> None:
    """Make the schema; ValueError on that of another version."""
    _bound_cache(connection)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT}")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in {0, SCHEMA_VERSION}:
        raise ValueError(f"the database has schema {version}, this program knows {SCHEMA_VERSION}")
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute(
        "INSERT OR IGNORE INTO facts VALUES ('cluster_id', ?)", (secrets.randbits(62) | 1,)
    )


def _statements(changes: Sequence[Change]) -> Iterator[tuple[str, _Values]]:
    """The inserts for a group of changes: many rows a statement.

    Each execution of a statement lets go of the interpreter's lock and has to win it back.
    """
    order = revision = 0
    for start in range(0, len(changes), STATEMENT_ROWS_MAX):
        part = changes[start : start + STATEMENT_ROWS_MAX]
        values: _Values = []
        for change in part:
            order = order + 1 if change.revision == revision else 0
            revision = change.revision
            row_id = revision << _ORDER_BITS | order
            previous = change.previous.mod_revision if change.previous is not None else 0
            entry = change.entry
            if entry is None:
                values += (row_id, change.key, None, 0, 0, 0, previous)
            else:
                created, version, lease = entry.create_revision, entry.version, entry.lease
                values += (row_id, change.key, entry.value, created, version, lease, previous)
        yield _INSERT + ",".join([_ROW] * len(part)), values


def _append(
    connection: sqlite3.Connection,
    statements: Sequence[tuple[str, _Values]],
    leases: Mapping[int, StoredLease | None],
) -> None:
    if len(statements) == 1 and not leases:
        connection.execute(*statements[0])
        return

    def act() -> None:
        for statement, values in statements:
            connection.execute(statement, values)
        gone = [(lease_id,) for lease_id, lease in leases.items() if lease is None]
        kept = [
            (lease.id, lease.ttl_seconds, lease.expires_at) for lease in leases.values() if lease
        ]
        connection.executemany("DELETE FROM leases WHERE id = ?", gone)
        connection.executemany("INSERT OR REPLACE INTO leases VALUES (?,?,?)", kept)

    _transact(connection, act)


def _transact(connection: sqlite3.Connection, act: Callable[[], None]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        act()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _restore(connection: sqlite3.Connection) -> Restored:
    facts = dict(connection.execute("SELECT name, value FROM facts"))
    entries: dict[bytes, Entry] = {}
    newest = 0
    for row in connection.execute(_ALL):
        newest = row[0]
        entry = _entry(row)
        if entry is None:
            entries.pop(row[1], None)
        else:
            entries[entry.key] = entry
    leases = connection.execute("SELECT id, ttl_seconds, expires_at FROM leases").fetchall()
    compacted = facts.get("compacted", 0)
    return Restored(
        entries=list(entries.values()),
        leases=[StoredLease(*row) for row in leases],
        revision=max(newest >> _ORDER_BITS, compacted, 1),
        compacted=compacted,
        cluster_id=facts["cluster_id"],
    )


def _entry(row: Sequence[Any]) -> Entry | None:
    row_id, key, value, created, version, lease = row
    if value is None:
        return None
    return Entry(key, value, created, row_id >> _ORDER_BITS, version, lease)


def _where(span: Span) -> tuple[str, list[bytes]]:
    if span.end is None:
        return "l.key >= ?", [span.first]
    return "l.key >= ? AND l.key < ?", [span.first, span.end]


def _changes(
    connection: sqlite3.Connection, span: Span, between: tuple[int, int], limit: int
) -> tuple[Sequence[Change], int]:
    after, until = between
    condition, keys = _where(span)
    query = f"{_BETWEEN} AND {condition} ORDER BY l.id LIMIT ?"
    last = until << _ORDER_BITS | _ORDER_MASK
    rows = connection.execute(
        query, [after << _ORDER_BITS | _ORDER_MASK, last, *keys, limit]
    ).fetchall()
    reached = until
    if len(rows) == limit:
        # The last revision may go on behind the limit: take it whole, or leave it for next time.
        final = rows[-1][0] >> _ORDER_BITS
        rows = [row for row in rows if row[0] >> _ORDER_BITS < final]
        reached = final - 1
        if not rows:
            rows = connection.execute(
                query,
                [(final << _ORDER_BITS) - 1, final << _ORDER_BITS | _ORDER_MASK, *keys, -1],
            ).fetchall()
            reached = final
    return list(map(_change, rows)), reached


def _change(row: Sequence[Any]) -> Change:
    previous = _entry(row[6:]) if row[6] is not None else None
    return Change(row[1], row[0] >> _ORDER_BITS, _entry(row[:6]), previous)


def _undone(connection: sqlite3.Connection, span: Span, revision: int) -> Sequence[Entry]:
    condition, keys = _where(span)
    rows = connection.execute(
        f"{_SUPERSEDED} AND {condition}", [revision << _ORDER_BITS | _ORDER_MASK, revision, *keys]
    )
    return [entry for entry in map(_entry, rows) if entry is not None]


def _note_compacted(connection: sqlite3.Connection, revision: int) -> bool:
    facts = dict(connection.execute("SELECT name, value FROM facts"))
    if revision <= facts.get("compacted", 0):
        return False
    _set_fact(connection, "compacted", revision)
    return True


def _set_fact(connection: sqlite3.Connection, name: str, value: int) -> None:
    connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))


def _sweep(connection: sqlite3.Connection) -> bool:
    facts = dict(connection.execute("SELECT name, value FROM facts"))
    compacted, swept = facts.get("compacted", 0), facts.get("swept", 0)
    rows = connection.execute(
        _SWEPT,
        (swept, compacted << _ORDER_BITS | _ORDER_MASK, SWEEP_ROWS),
    ).fetchall()
    swept_to, superfluous = plan(
        [Row(row[0], bool(row[1]), row[2]) for row in rows],
        keep_from=compacted << _ORDER_BITS,
    )

    def act() -> None:
        connection.executemany("DELETE FROM log WHERE id = ?", zip(superfluous, strict=True))
        _set_fact(connection, "swept", max(swept, swept_to))

    if rows:
        _transact(connection, act)
    return len(rows) == SWEEP_ROWS and swept_to > swept


def _vacuum(connection: sqlite3.Connection) -> bool:
    # As a script: it runs the statement to its end, execute() would free one page.
    connection.executescript(f"PRAGMA incremental_vacuum({TRIM_PAGES})")
    return _pragma(connection, "freelist_count") > 0


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def _size(connection: sqlite3.Connection) -> Size:
    page, pages = _pragma(connection, "page_size"), _pragma(connection, "page_count")
    free = _pragma(connection, "freelist_count")
    return Size(page * pages, page * (pages - free))
