"""FIFOs between this process and the runtime's shim, read and written without blocking."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from pilothouse.cri_shim.records import ContainerIo

READ_BYTES = 64 * 1024
DIRECTORY_MODE = 0o700
FIFO_MODE = 0o700


def paths(io: ContainerIo) -> list[str]:
    """Those that the process has."""
    return [path for path in (io.stdin, io.stdout, io.stderr) if path]


def make(io: ContainerIo) -> None:
    """Make those that are missing."""
    for path in paths(io):
        Path(path).parent.mkdir(parents=True, exist_ok=True, mode=DIRECTORY_MODE)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, FIFO_MODE)


class Source:
    """The reading end; open it before the task is made."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    async def chunks(self) -> AsyncIterator[bytes]:
        """What is written, until every writer has closed; waits for the first one."""
        await _ready(self._fd, reading=True)
        while True:
            try:
                chunk = os.read(self._fd, READ_BYTES)
            except BlockingIOError:
                await _ready(self._fd, reading=True)
                continue
            if not chunk:
                return
            yield chunk
            # A flood is no reason to serve nobody else.
            await asyncio.sleep(0)

    def close(self) -> None:
        """No more."""
        os.close(self._fd)


class Sink:
    """The writing end. It is opened for both, so that it never waits for who reads."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._closed = False

    async def write(self, content: bytes) -> None:
        """All of it, as fast as the other side reads; nothing once it is closed."""
        left = memoryview(content)
        while left and not self._closed:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:
                await _ready(self._fd, reading=False)

    def close(self) -> None:
        """The reader sees the end, after all that was written."""
        if not self._closed:
            self._closed = True
            os.close(self._fd)


async def _ready(fd: int, *, reading: bool) -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def ready() -> None:
        if not future.done():
            future.set_result(None)

    add, remove_ = (
        (loop.add_reader, loop.remove_reader) if reading else (loop.add_writer, loop.remove_writer)
    )
    add(fd, ready)
    try:
        await future
    finally:
        remove_(fd)
