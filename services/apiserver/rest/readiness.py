"""Whether this server is alive and ready, as the checks behind its health paths."""

from pilothouse.services.apiserver.ports import Storage
from pilothouse.services.apiserver.rest.health import Check, Health
from pilothouse.services.machinery.storage import Unavailable


class Readiness:
    """What the start and the end of a server switch, and what the store says."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.synced = False
        self.bootstrapped = False
        self.stopping = False

    def health(self) -> Health:
        """The checks by path, in the order in which they are shown."""
        alive: dict[str, Check] = {
            "ping": self._ping,
            "etcd": self._etcd,
            "poststarthook/start-apiserver": self._started,
            "poststarthook/rbac/bootstrap-roles": self._started,
            "poststarthook/scheduling/bootstrap-system-priority-classes": self._started,
        }
        ready: dict[str, Check] = {
            **alive,
            "informer-sync": self._informers,
            "shutdown": self._shutdown,
        }
        return Health({"healthz": alive, "livez": alive, "readyz": ready})

    async def _ping(self) -> str:
        return ""

    async def _etcd(self) -> str:
        try:
            await self._storage.revision()
        except Unavailable as error:
            return f"the store does not answer: {error}"
        return ""

    async def _started(self) -> str:
        return "" if self.bootstrapped else "not finished"

    async def _informers(self) -> str:
        return "" if self.synced else "the cache is not loaded"

    async def _shutdown(self) -> str:
        return "the server is shutting down" if self.stopping else ""
