"""Static pod manifests as files of one directory, or one file."""

import asyncio
from pathlib import Path
from typing import Any

import yaml

from pilothouse.services.kubelet.adapters.machine.inotify import Changes
from pilothouse.services.kubelet.manifests.static_pods import FILE

SETTLE_SECONDS = 0.05
BYTES_MAX = 10 * 1024 * 1024


class ManifestFiles:
    """Files whose names begin with a dot are none; nor is what is not a regular file."""

    name = FILE

    def __init__(self, place: Path, check_seconds: float) -> None:
        """``check_seconds``: how often to look for what was not told."""
        self._place = place
        self._check_seconds = check_seconds
        self._changes: Changes | None = None

    async def read(self) -> dict[str, list[Any]]:
        """Decoded documents by path."""
        place = self._place
        if not place.exists():
            place.mkdir(parents=True, exist_ok=True)
        if self._changes is None:
            self._changes = Changes(place if place.is_dir() else place.parent)
        entries = place.iterdir() if place.is_dir() else [place]
        return {
            str(path): decode_file(path)
            for path in entries
            if not path.name.startswith(".") and path.is_file()
        }

    async def wait_changed(self) -> None:
        """Until a file came, changed or went; a burst of changes counts once."""
        if self._changes is None:
            await asyncio.sleep(self._check_seconds)
            return
        await self._changes.wait(self._check_seconds)
        await asyncio.sleep(SETTLE_SECONDS)


def decode_file(path: Path) -> list[Any]:
    """All documents of a file; one None for a file that has none."""
    try:
        if path.stat().st_size > BYTES_MAX:
            return [None]
        return decode(path.read_bytes())
    except OSError:
        return [None]


def decode(content: bytes) -> list[Any]:
    """All documents of a text in YAML or JSON; one None for a text that is neither."""
    try:
        found = [item for item in yaml.safe_load_all(content) if item is not None]
    except (yaml.YAMLError, UnicodeDecodeError):
        return [None]
    return found or [None]
