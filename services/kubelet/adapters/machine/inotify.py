"""Be told when files change: one inotify descriptor, woken by the event loop."""

import asyncio
import ctypes
import os
from pathlib import Path

IN_MODIFY = 0x2
IN_CLOSE_WRITE = 0x8
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
DIRECTORY_CHANGES = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE
READ_BYTES = 64 * 1024

_libc = ctypes.CDLL(None, use_errno=True)


class Changes:
    """Of one directory. Close it."""

    def __init__(self, directory: Path, mask: int = DIRECTORY_CHANGES) -> None:
        self._descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1: no inotify instance left")
        if _libc.inotify_add_watch(self._descriptor, os.fsencode(directory), mask) < 0:
            number = ctypes.get_errno()
            os.close(self._descriptor)
            raise OSError(number, f"inotify_add_watch {directory}")
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        try:
            os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return
        self._changed.set()

    async def wait(self, seconds: float) -> None:
        """Until something changed since the last call, or that long."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    def close(self) -> None:
        """Watch no more."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
