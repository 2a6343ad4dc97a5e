"""A mark that tells the next process of a place who was there before it, and is dead.

The lock on it ends with the process that holds it, and not when that is merely stopped.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_IDENTITY_BYTES_MAX = 4096


@contextlib.contextmanager
def marked(path: Path, identity: str) -> Iterator[str]:
    """Mark ``path`` with ``identity``; gives the identity of the dead one before, empty if none.

    Where somebody alive holds the mark it stays theirs, and nobody is known to be dead.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield ""
            return
        before = os.pread(file, _IDENTITY_BYTES_MAX, 0).decode(errors="replace")
        os.ftruncate(file, 0)
        os.pwrite(file, identity.encode(), 0)
        yield before
    finally:
        os.close(file)
