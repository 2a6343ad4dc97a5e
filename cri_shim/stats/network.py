"""``/proc/<pid>/net/dev``: what each interface of a network namespace has carried."""

from typing import NamedTuple

LOOPBACK = "lo"
DEFAULT = "eth0"
COLUMNS = 16


class Interface(NamedTuple):
    """Counters since it is there."""

    name: str
    rx_bytes: int
    rx_errors: int
    tx_bytes: int
    tx_errors: int


def interfaces(text: str) -> list[Interface]:
    """All but loopback, the pod's own one first."""
    found = []
    for line in text.splitlines()[2:]:
        name, colon, rest = line.partition(":")
        words = rest.split()
        if not colon or len(words) < COLUMNS or name.strip() == LOOPBACK:
            continue
        rx_bytes, _, rx_errors, *_ = (int(word) for word in words)
        tx_bytes, tx_errors = int(words[8]), int(words[10])
        found.append(Interface(name.strip(), rx_bytes, rx_errors, tx_bytes, tx_errors))
    return sorted(found, key=lambda item: item.name != DEFAULT)
