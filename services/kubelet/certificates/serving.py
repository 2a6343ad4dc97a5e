"""Keep a certificate: ask the cluster for it, wait until somebody approves, use it.

::

    none, or old ─▶ key and request ─▶ approved and signed ─▶ kept on disk ─▶ used
         ▲                                                                     │
         └──────────────────────── seven to nine tenths of its life ◀──────────┘
"""

from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

LIFE_USED_MIN, LIFE_USED_SPAN = 0.7, 0.2
PARTS = 1000
RETRY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Pair:
    """Key and chain in PEM; the life of the certificate in seconds since the epoch."""

    key: bytes
    chain: bytes
    begins_at: float
    ends_at: float


class Signer(Protocol):
    """The cluster, as it gives certificates."""

    async def obtain(self) -> Pair:
        """A new key, with the certificate that somebody approved for it.

        ServiceUnavailable when nobody did for long, BadRequest when it was refused.
        """


class Cabinet(Protocol):
    """Where the pair is kept and served from."""

    def find(self) -> Pair | None:
        """The one that was kept last; None when there is none that can be read."""

    def keep(self, pair: Pair) -> None:
        """Keep it, and serve with it from now on."""


def due_at(pair: Pair, name: str) -> float:
    """When to ask for the next one; nodes do not all ask at once."""
    share = sum(name.encode()) % PARTS / PARTS
    used = LIFE_USED_MIN + LIFE_USED_SPAN * share
    return pair.begins_at + (pair.ends_at - pair.begins_at) * used


class Serving:
    """For as long as the kubelet runs."""

    def __init__(self, signer: Signer, cabinet: Cabinet, clock: Clock, name: str) -> None:
        self._signer = signer
        self._cabinet = cabinet
        self._clock = clock
        self._name = name
        self._log = telemetry.logger(part="certificates")

    async def run(self) -> None:
        """Until cancelled."""
        pair = self._cabinet.find()
        if pair is not None:
            self._cabinet.keep(pair)
        while True:
            now = self._clock.now()
            due = now if pair is None else due_at(pair, self._name)
            if now < due:
                await self._clock.sleep(due - now)
            try:
                pair = await self._signer.obtain()
                self._cabinet.keep(pair)
            except (ApiError, OSError, ValueError) as error:
                self._log.warning("no certificate yet", error=str(error))
                await self._clock.sleep(RETRY_SECONDS)
