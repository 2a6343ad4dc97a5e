"""The directories that the runtime writes containers' logs to."""

import shutil
from pathlib import Path


class LogFolders:
    """On this machine's disk."""

    def make(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def remove(self, path: Path) -> None:
        """With all that is in it."""
        shutil.rmtree(path, ignore_errors=True)

    def remove_file(self, path: Path) -> None:
        path.unlink(missing_ok=True)
