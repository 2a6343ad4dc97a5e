"""The file in which records are kept: SQLite, one JSON text a row."""

import sqlite3
from pathlib import Path

import msgspec

from pilothouse.cri_shim.records import ContainerRecord, SandboxRecord


class RecordFile:
    """Written at once with each change; a crash of this process loses nothing."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS records (id TEXT PRIMARY KEY, kind TEXT, body TEXT)"
        )

    def load(self) -> tuple[list[SandboxRecord], list[ContainerRecord]]:
        """All that is kept."""
        rows = self._database.execute("SELECT kind, body FROM records").fetchall()
        return (
            [msgspec.json.decode(body, type=SandboxRecord) for kind, body in rows if kind == "s"],
            [msgspec.json.decode(body, type=ContainerRecord) for kind, body in rows if kind == "c"],
        )

    def keep(self, record: SandboxRecord | ContainerRecord) -> None:
        kind = "s" if isinstance(record, SandboxRecord) else "c"
        body = msgspec.json.encode(record).decode()
        self._database.execute(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (record.id, kind, body)
        )

    def drop(self, id_: str) -> None:
        self._database.execute("DELETE FROM records WHERE id = ?", (id_,))

    def close(self) -> None:
        self._database.close()
