"""The journal in memory without its thread: for one who must own every turn of the loop."""

import sqlite3
from collections.abc import Callable
from typing import Any

from pilothouse.services.machinery.storage import Unavailable
from pilothouse.services.store.adapters.sqlite import IN_MEMORY, SqliteJournal, prepare


class InlineConnection:
    """Statements run where they are asked for, and the loop waits."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(IN_MEMORY, isolation_level=None)
        prepare(self._connection)

    async def run(self, act: Callable[..., Any], *args: Any) -> Any:
        """Call ``act(connection, *args)``; Unavailable if it fails."""
        try:
            return act(self._connection, *args)
        except sqlite3.Error as error:
            raise Unavailable(f"the database: {error}") from error

    async def close(self) -> None:
        self._connection.close()


def inline_journal() -> SqliteJournal:
    """A database in memory, new."""
    connection = InlineConnection()
    return SqliteJournal(connection, connection)
