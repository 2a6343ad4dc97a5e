"""The services of the server itself, put together: seats, limits, counters, metrics, deadlines."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from pilothouse.services.apiserver.adapters.metering import MeteredStore
from pilothouse.services.apiserver.admission.measures import MEASURES
from pilothouse.services.apiserver.config import Requests
from pilothouse.services.apiserver.flow.control import Control
from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.apiserver.requests import Target
from pilothouse.services.apiserver.rest.counters import Counters
from pilothouse.services.apiserver.rest.deadlines import Deadlines
from pilothouse.services.apiserver.rest.health import Health
from pilothouse.services.apiserver.rest.metrics import (
    Metrics,
    admission_families,
    call_families,
    flow_families,
    process_families,
    storage_families,
    watch_families,
)
from pilothouse.services.apiserver.rest.readiness import Readiness
from pilothouse.services.apiserver.rest.request import AuditIds
from pilothouse.services.apiserver.rest.seating import FairSeating, PlainSeating, Seating
from pilothouse.services.apiserver.rest.watching import Watches
from pilothouse.services.apiserver.upkeep import FlowUpkeep
from pilothouse.services.machinery.errors import ApiError

# Requests that are being answered when the server goes have so long.
INFLIGHT_DRAIN_SECONDS = 8.0
DRAIN_STEP_SECONDS = 0.02
AUDIT_SEED_BITS = 74


@dataclass(frozen=True, slots=True)
class Services:
    """What every request passes; ``upkeep`` is to be run beside, where there is one."""

    counters: Counters
    health: Health
    metrics: Metrics
    seating: Seating
    deadlines: Deadlines
    audit_ids: AuditIds
    now: Callable[[], float]
    readiness: Readiness
    upkeep: FlowUpkeep | None

    def stopping(self) -> bool:
        """Whether the server is on its way down."""
        return self.readiness.stopping

    async def drained(self) -> None:
        """Until nothing short is being answered, or for as long as that may take."""
        clock = self.readiness.clock
        end = clock.monotonic() + INFLIGHT_DRAIN_SECONDS
        while any(self.counters.in_flight.values()) and clock.monotonic() < end:
            await clock.sleep(DRAIN_STEP_SECONDS)


def assemble(
    registry: Registry,
    limits: Requests,
    readiness: Readiness,
    store: MeteredStore,
    watches: Watches,
) -> Services:
    """All of them, for one server."""
    parts = registry.parts
    MEASURES.now = parts.clock.monotonic
    counters, health = Counters(), readiness.health()
    sources = [
        counters.families,
        process_families,
        lambda: storage_families(parts.catalog, parts.cache),
        lambda: call_families(parts.catalog, store.calls),
        lambda: watch_families(watches.sent),
        lambda: admission_families(MEASURES),
    ]
    control, upkeep, seating = None, None, None
    if limits.fair:
        control = Control(limits.reading_max + limits.writing_max)
        upkeep = FlowUpkeep(registry, control)
        fair = FairSeating(control, upkeep.refresh, _counting(registry), limits.seconds)
        sources.append(lambda: flow_families(fair.control))
        seating = fair
    return Services(
        counters=counters,
        health=health,
        metrics=Metrics(sources, store.size, health, control),
        seating=seating or PlainSeating(limits.reading_max, limits.writing_max),
        deadlines=Deadlines(limits.seconds),
        audit_ids=AuditIds(secrets.randbits(AUDIT_SEED_BITS)),
        now=parts.clock.monotonic,
        readiness=readiness,
        upkeep=upkeep,
    )


def _counting(registry: Registry) -> Callable[[Target], int]:
    parts = registry.parts

    def count(target: Target) -> int:
        try:
            kind = parts.catalog.stored(
                parts.catalog.lookup(target.group, target.version, target.plural)
            )
        except ApiError:
            return 0
        return len(parts.cache.of(kind)) if kind.persistent else 0

    return count
