"""The loop: what changed in the cluster becomes what changes in the kernel.

    load everything once ──▶ wait for changes ──▶ plan ──▶ change the kernel ──▶ forget UDP flows
              ▲                                                │ refused
              └──────────────────── backoff ◀──────────────────┘

A refused change means that the table is not what we think: it is then loaded anew.
"""

from collections.abc import Iterable

from pilothouse.services.machinery.objects import Key
from pilothouse.services.proxy.changes import Change, Table
from pilothouse.services.proxy.contents import contents
from pilothouse.services.proxy.ports import Flows, Kernel, Refused, Services
from pilothouse.services.proxy.rules import Backend, PortRule, service_rules
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

BACKOFF_FIRST_SECONDS = 0.1
BACKOFF_MAX_SECONDS = 30.0


class Proxier:
    """Keeps the kernel's table in step with the cluster's Services, for one node."""

    def __init__(
        self, services: Services, kernel: Kernel, flows: Flows, *, node: str, cluster_cidr: str
    ) -> None:
        self._zone = ""
        self._services = services
        self._kernel = kernel
        self._flows = flows
        self._node = node
        self._cluster_cidr = cluster_cidr
        self._rules: dict[Key, tuple[PortRule, ...]] = {}
        self._table = Table()

    def rules(self) -> list[PortRule]:
        """What the kernel was told last, sorted."""
        return sorted(rule for rules in self._rules.values() for rule in rules)

    def move(self, zone: str) -> None:
        """The node is in this zone; it counts for each Service that is looked at from now on."""
        self._zone = zone

    async def load(self) -> None:
        """Tell the kernel everything. Raises Refused."""
        keys = set(self._services.keys()) | self._rules.keys()
        self._plan(keys)
        await self._kernel.load(self._table.contents())

    async def change(self, keys: Iterable[Key]) -> None:
        """Tell the kernel what is different in these Services. Raises Refused."""
        change, gone = self._plan(keys)
        if change:
            await self._kernel.change(change)
        if gone:
            await self._flows.forget(sorted(gone))

    async def run(self, clock: Clock) -> None:
        """Follow until cancelled."""
        log = telemetry.logger(part="rules")
        backoff = BACKOFF_FIRST_SECONDS
        while True:
            try:
                await self.load()
                log.info("table loaded", services=len(self._rules))
                while True:
                    await self.change(await self._services.wait_changed())
                    backoff = BACKOFF_FIRST_SECONDS
            except Refused as refusal:
                log.warning("table refused, loading it anew", error=str(refusal))
            await clock.sleep(backoff)
            backoff = min(backoff * 2, BACKOFF_MAX_SECONDS)

    def _plan(self, keys: Iterable[Key]) -> tuple[Change, set[Backend]]:
        """The change of the table, and the UDP backends that are in use no more."""
        wanted = {}
        gone: set[Backend] = set()
        for key in keys:
            old = self._rules.pop(key, ())
            service, slices = self._services.service(key), self._services.slices(key)
            new = service_rules(service, slices, self._node, self._zone)
            if new:
                self._rules[key] = new
            gone |= _udp(old) - _udp(new)
            wanted[key] = contents(new, self._cluster_cidr)
        return self._table.replace(wanted), gone


def _udp(rules: Iterable[PortRule]) -> set[Backend]:
    return {backend for rule in rules if rule.protocol == "udp" for backend in rule.endpoints}
