"""Read a container's log file, from its end and as it grows."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

from pilothouse.services.kubelet.adapters.machine.inotify import IN_CREATE, IN_MODIFY, Changes
from pilothouse.services.kubelet.logs import Options, Renderer

CHUNK_BYTES = 64 * 1024
LOOK_SECONDS = 1.0
"""While somebody follows: how soon the end of the container is noticed."""


async def stream(
    path: Path, options: Options, is_running: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """What ``options`` ask for; when following, until the container has ended and all is read."""
    file: BinaryIO = path.open("rb")
    changes = Changes(path.parent, IN_MODIFY | IN_CREATE) if options.follow else None
    renderer = Renderer(options)
    try:
        if options.tail_lines is not None:
            file.seek(_tail_offset(file, options.tail_lines))
        rest = b""
        while not renderer.is_full:
            running = is_running()
            chunk = file.read(CHUNK_BYTES)
            if chunk:
                *lines, rest = (rest + chunk).split(b"\n")
                shown = b"".join(renderer.render(line) for line in lines)
                if shown:
                    yield shown
                continue
            fresh = _successor(file, path)
            if fresh is not None:
                file.close()
                file, rest = fresh, b""
            elif changes is None or not running:
                return
            else:
                await changes.wait(LOOK_SECONDS)
    finally:
        file.close()
        if changes is not None:
            changes.close()


def _successor(file: BinaryIO, path: Path) -> BinaryIO | None:
    """The new file, when the log has been moved away."""
    try:
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return None
        return path.open("rb")
    except OSError:
        return None


def _tail_offset(file: BinaryIO, lines: int) -> int:
    """Where the last ``lines`` lines begin; parts of a long line count as one."""
    position, block = file.seek(0, os.SEEK_END), b""
    while True:
        offset = _start_of_last(block, lines, is_whole=position == 0)
        if offset is not None:
            return position + offset
        if position == 0:
            return 0
        step = min(CHUNK_BYTES, position)
        position -= step
        file.seek(position)
        block = file.read(step) + block


def _start_of_last(block: bytes, lines: int, *, is_whole: bool) -> int | None:
    """The offset behind the last full line that is not wanted; None when it is not in here."""
    end = block.rfind(b"\n")
    found = 0
    while end >= 0:
        start = block.rfind(b"\n", 0, end) + 1
        if start == 0 and not is_whole:
            return None
        found += _is_full(block[start:end])
        if found > lines:
            return end + 1
        end = start - 1
    return None


def _is_full(line: bytes) -> bool:
    fields = line.split(b" ", 3)
    return len(fields) >= 3 and fields[2].startswith(b"F")  # noqa: PLR2004 - time, stream, tag


async def read_all(path: Path, options: Options) -> bytes:
    """All at once; for tests and short logs."""
    parts = [part async for part in stream(path, options, lambda: False)]
    await asyncio.sleep(0)
    return b"".join(parts)
