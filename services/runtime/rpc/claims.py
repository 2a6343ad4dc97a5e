"""Under which term a write is made, as metadata of its call.

Of several processes one leads. What it sent just before it lost its Lease may arrive after another
has it: the server refuses a write whose claim is not what the Lease says by then.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from pilothouse.services.machinery.errors import BadRequest
from pilothouse.services.machinery.objects import Key

METADATA = "pilothouse-lease"

Pairs: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """``holder`` has ``lease`` since it changed hands for the ``transitions``-th time."""

    lease: Key
    holder: str
    transitions: int

    def pairs(self) -> Pairs:
        """As metadata."""
        lease = f"{self.lease.namespace}/{self.lease.name}"
        return ((METADATA, f"{lease} {self.transitions} {self.holder}"),)


def read(metadata: Iterable[Any]) -> Claim | None:
    """What the metadata of a call claims, if anything; BadRequest where it can not be read."""
    for key, value in metadata:
        if key == METADATA:
            return parse(value)
    return None


def parse(text: str) -> Claim:
    """BadRequest."""
    lease, _, rest = text.partition(" ")
    transitions, _, holder = rest.partition(" ")
    namespace, _, name = lease.partition("/")
    if not (name and holder and transitions.isdecimal()):
        raise BadRequest(f"{METADATA}: must be NAMESPACE/NAME TRANSITIONS HOLDER")
    return Claim(Key(namespace, name), holder, int(transitions))
