"""The serving certificate as files that somebody else renews: read anew when they have changed."""

import ssl
from pathlib import Path

from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

LOOK_SECONDS = 60.0


class ServingFiles:
    """Key and chain of the server whose context this is."""

    def __init__(self, certificate: Path, key: Path, context: ssl.SSLContext, clock: Clock) -> None:
        self._certificate = certificate
        self._key = key
        self._context = context
        self._clock = clock
        self._log = telemetry.logger(part="certificates")

    async def run(self) -> None:
        """Until cancelled."""
        before = self._stamp()
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            now = self._stamp()
            if now != before and self._load():
                before = now

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        """What changes when one of the files does; empty while one is missing."""
        try:
            found = [path.stat() for path in (self._certificate, self._key)]
        except OSError:
            return ()
        return tuple((item.st_mtime_ns, item.st_ino) for item in found)

    def _load(self) -> bool:
        """Serve with what is there now; False when it is no pair (yet)."""
        try:
            # A pair that does not match would leave half of it in the context that serves.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certificate, self._key)
            self._context.load_cert_chain(self._certificate, self._key)
        except (OSError, ssl.SSLError) as error:
            self._log.warning("serving certificate not read", error=str(error))
            return False
        self._log.info("serving certificate changed", path=str(self._certificate))
        return True
