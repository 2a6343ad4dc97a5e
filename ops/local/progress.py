"""Lines that say how far a long command is, each with the seconds since it began."""

import sys
from dataclasses import dataclass, field

from pilothouse.services.runtime.clock import Clock


@dataclass(slots=True)
class Progress:
    """Writes to standard output, flushed at once."""

    clock: Clock
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock.monotonic()

    def say(self, text: str) -> None:
        """One step done or begun."""
        sys.stdout.write(f"{self.clock.monotonic() - self.began:6.1f} s  {text}\n")
        sys.stdout.flush()

    def plain(self, text: str) -> None:
        """A line for the reader to use: a path, a command."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
