"""Whether this server is alive and ready, as the checks behind its health paths."""

import asyncio

from pilothouse.services.apiserver.ports import Storage
from pilothouse.services.apiserver.rest.health import Check, Health
from pilothouse.services.machinery.storage import Unavailable
from pilothouse.services.runtime.clock import Clock

# What is done once after the start, under upstream's names where ours is the same work.
HOOKS = (
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "start-system-namespaces-controller",
    "bootstrap-controller",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "start-kubernetes-service-cidr-controller",
    "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector",
)
STORE_SECONDS_MAX = 2.0


class Readiness:
    """What the start and the end of a server switch, and what the store says."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self.clock = clock
        self.synced = False
        self.bootstrapped = False
        self.stopping = False

    def health(self) -> Health:
        """The checks by path, in the order in which they are shown."""
        hooks = dict.fromkeys((f"poststarthook/{name}" for name in HOOKS), self._started)
        alive: dict[str, Check] = {
            "ping": self._ping,
            "log": self._ping,
            "etcd": self._etcd,
            **hooks,
        }
        ready: dict[str, Check] = {
            "ping": self._ping,
            "log": self._ping,
            "etcd": self._etcd,
            "etcd-readiness": self._etcd,
            "informer-sync": self._informers,
            **hooks,
            "shutdown": self._shutdown,
        }
        return Health({"healthz": alive, "livez": alive, "readyz": ready})

    async def _ping(self) -> str:
        return ""

    async def _etcd(self) -> str:
        try:
            async with asyncio.timeout(STORE_SECONDS_MAX):
                await self._storage.revision()
        except TimeoutError:
            return "error getting data from etcd: context deadline exceeded"
        except Unavailable as error:
            return f"error getting data from etcd: {error}"
        return ""

    async def _started(self) -> str:
        return "" if self.bootstrapped else "not finished"

    async def _informers(self) -> str:
        return "" if self.synced else "the cache is not loaded"

    async def _shutdown(self) -> str:
        return "process is shutting down" if self.stopping else ""
