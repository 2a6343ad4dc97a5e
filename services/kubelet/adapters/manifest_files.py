"""Static pod manifests as files of one directory."""

import asyncio
from pathlib import Path
from typing import Any

import yaml

from pilothouse.services.kubelet.adapters.inotify import Changes

LOOK_SECONDS = 600.0
SETTLE_SECONDS = 0.05
SUFFIXES = frozenset({".yaml", ".yml", ".json"})


class ManifestFiles:
    """``directory`` None: there are no static pods, ever."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._changes: Changes | None = None

    def read(self) -> dict[str, Any]:
        """Decoded content by file name; None for what can not be decoded."""
        if self._directory is None:
            return {}
        self._directory.mkdir(parents=True, exist_ok=True)
        if self._changes is None:
            self._changes = Changes(self._directory)
        found: dict[str, Any] = {}
        for path in self._directory.iterdir():
            if path.suffix in SUFFIXES and not path.name.startswith(".") and path.is_file():
                try:
                    found[path.name] = yaml.safe_load(path.read_bytes())
                except (yaml.YAMLError, OSError, UnicodeDecodeError):
                    found[path.name] = None
        return found

    async def wait_changed(self) -> None:
        """Until a file came, changed or went; a burst of changes counts once."""
        if self._changes is None:
            await asyncio.Event().wait()
            return
        await self._changes.wait(LOOK_SECONDS)
        await asyncio.sleep(SETTLE_SECONDS)
