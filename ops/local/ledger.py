"""Every change to the host, written down before it is made and undone backwards.

An entry that was written and never carried out is harmless: undoing takes what is gone for done.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

# directory  ours altogether: removed with all that is in it, mounts first
# parent     made by us or by containerd for us: removed only when nothing is left in it
# file       one file
# netns      a named network namespace; its links, rules and tables go with it
# cgroup     a name below every cgroup hierarchy, with what is in it
# processes  whatever runs out of this run directory
# sandboxes  what the CNI library keeps, at a path of its own, about the pods of these nodes
Kind = Literal["directory", "parent", "file", "netns", "cgroup", "processes", "sandboxes"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that this machine did not have before."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """The append-only file of one cluster's changes."""

    path: Path

    def write(self, change: Change) -> None:
        """Make the entry durable; call this first, then change the host. Repeats are dropped."""
        if change in self.read():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(asdict(change)).encode() + b"\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self) -> list[Change]:
        """The changes in the order they were made; a line torn by a crash is left out."""
        try:
            lines = self.path.read_text().splitlines()
        except FileNotFoundError:
            return []
        return list(_parse(lines))

    def backwards(self) -> list[Change]:
        """The changes in the order to undo them."""
        return self.read()[::-1]


def _parse(lines: list[str]) -> Iterator[Change]:
    for line in lines:
        try:
            yield Change(**json.loads(line))
        except (ValueError, TypeError):
            continue
