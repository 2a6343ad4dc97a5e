"""``/metrics``, ``/metrics/slis`` and the dumps of priority and fairness."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from pilothouse.services.apiserver.adapters.metering import BOUNDS, Calls
from pilothouse.services.apiserver.admission.measures import BOUNDS as ADMISSION_BOUNDS
from pilothouse.services.apiserver.admission.measures import Measures
from pilothouse.services.apiserver.cache.cache import Cache
from pilothouse.services.apiserver.flow.control import Control
from pilothouse.services.apiserver.flow.measures import WAIT_BUCKETS
from pilothouse.services.apiserver.kinds.catalog import Catalog
from pilothouse.services.apiserver.rest.health import Health
from pilothouse.services.apiserver.rest.version import version_document
from pilothouse.services.machinery.storage import Unavailable
from pilothouse.services.runtime import proc, web
from pilothouse.services.runtime.exposition import (
    OPEN_METRICS,
    TEXT,
    Family,
    labels_of,
    render,
    wants_open_metrics,
)

Source: TypeAlias = Callable[[], Iterable[Family]]
Size: TypeAlias = Callable[[], Awaitable[int]]
SIZE_SECONDS_MAX = 1.0
_DUMPS = "debug/api_priority_and_fairness/"


class Metrics:
    """Everything that is measured, gathered when it is asked for."""

    def __init__(
        self, sources: Sequence[Source], size: Size, health: Health, control: Control | None
    ) -> None:
        self._sources = sources
        self._size = size
        self._health = health
        self._control = control

    async def reply(self, segments: Sequence[str], accept: str) -> web.Response | None:
        """The answer on one of these paths; None for any other."""
        path = "/".join(segments)
        if path == "metrics":
            size = await self._stored()
            return _exposed(
                [size, *(each for source in self._sources for each in source())], accept
            )
        if path == "metrics/slis":
            return _exposed(self._health.families(), accept)
        if path.startswith(_DUMPS) and self._control is not None:
            dump = _DUMP.get(path.removeprefix(_DUMPS))
            return None if dump is None else web.Response(text=dump(self._control))
        return None

    async def _stored(self) -> Family:
        family = Family(
            "apiserver_storage_size_bytes", "gauge",
            "The size of the store's database on its disk, in bytes.",
        )  # fmt: skip
        with contextlib.suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(SIZE_SECONDS_MAX):
                family.add(await self._size(), ("storage_cluster_id", "etcd-0"))
        return family


def _exposed(families: Iterable[Family], accept: str) -> web.Response:
    open_metrics = wants_open_metrics(accept)
    body = render(families, open_metrics=open_metrics)
    return web.Response(body=body, headers={"Content-Type": OPEN_METRICS if open_metrics else TEXT})


def process_families() -> Iterator[Family]:
    """The process, under the names that every exporter uses."""
    yield from proc.families()
    names = {
        "gitVersion": "git_version", "gitCommit": "git_commit", "gitTreeState": "git_tree_state",
        "buildDate": "build_date", "goVersion": "go_version", "compiler": "compiler",
        "platform": "platform", "major": "major", "minor": "minor",
    }  # fmt: skip
    version = version_document()
    labels = {label: str(version.get(name, "")) for name, label in names.items()}
    built = Family("kubernetes_build_info", "gauge", "The version that this server speaks.")
    yield built.add(1, *labels_of(labels))


def storage_families(catalog: Catalog, cache: Cache) -> Iterator[Family]:
    """How many objects there are of each kind."""
    objects = Family("apiserver_storage_objects", "gauge", "Objects stored, by kind.")
    resources = Family("apiserver_resource_objects", "gauge", "Objects stored, by group and kind.")
    seen = set()
    for kind in catalog.all():
        place = (kind.group, kind.plural)
        if not kind.persistent or kind.stored_as or place in seen:
            continue
        seen.add(place)
        count = len(cache.of(kind))
        objects.add(count, ("resource", kind.qualified))
        resources.add(count, ("group", kind.group), ("resource", kind.plural))
    yield objects
    yield resources


def call_families(catalog: Catalog, calls: Mapping[tuple[str, bytes], Calls]) -> Iterator[Family]:
    """What was asked of the store, by operation and kind."""
    groups = {kind.place: kind.group for kind in catalog.all() if not kind.stored_as}
    seconds = Family(
        "etcd_request_duration_seconds", "histogram", "How long the store took, in seconds."
    )
    total = Family("etcd_requests_total", "counter", "What was asked of the store.")
    errors = Family("etcd_request_errors_total", "counter", "What the store did not do.")
    for (operation, place), series in calls.items():
        name = place.decode(errors="replace")
        # A custom kind's first segment is its group.
        group, resource = (name, "") if "." in name else (groups.get(name, ""), name)
        labels = labels_of({"operation": operation, "group": group, "resource": resource})
        seconds.observe(BOUNDS, series.counts, series.seconds, labels)
        total.add(sum(series.counts), *labels)
        if series.errors:
            errors.add(series.errors, *labels)
    yield from (seconds, total, errors)


def admission_families(measures: Measures) -> Iterator[Family]:
    """How long admission took, by plugin and in all."""
    head = "apiserver_admission_"
    each = Family(
        head + "controller_admission_duration_seconds", "histogram",
        "How long each plugin took, in seconds.",
    )  # fmt: skip
    every = Family(
        head + "step_admission_duration_seconds", "histogram",
        "How long all plugins together took, in seconds.",
    )  # fmt: skip
    for (name, operation, phase, refused), took in measures.took.items():
        labels = {"operation": operation, "rejected": str(refused).lower(), "type": phase}
        if name:
            labels["name"] = name
        family = each if name else every
        family.observe(ADMISSION_BOUNDS, took.counts, took.seconds, labels_of(labels))
    yield from (each, every)


def watch_families(sent: Mapping[tuple[str, str, str], int]) -> Iterator[Family]:
    """What watchers were sent."""
    events = Family("apiserver_watch_events_total", "counter", "Events sent to watchers.")
    for (group, version, resource), count in sent.items():
        events.add(count, ("group", group), ("resource", resource), ("version", version))
    yield events


def flow_families(control: Control) -> Iterator[Family]:
    """Priority and fairness, by level and schema."""
    measures = control.measures
    yield from _seats(control)
    for name, sort, told, counts in (
        ("dispatched_requests_total", "counter", "Requests that ran.", measures.dispatched),
        ("current_executing_requests", "gauge", "Requests that run now.", measures.executing),
        ("current_executing_seats", "gauge", "Seats in use.", measures.seats),
        ("current_inqueue_requests", "gauge", "Requests that wait now.", measures.inqueue),
    ):
        family = Family(
            f"apiserver_flowcontrol_{name}", "counter" if sort == "counter" else "gauge", told
        )
        for (level, schema), value in counts.items():
            family.add(value, ("flow_schema", schema), ("priority_level", level))
        yield family
    rejected = Family(
        "apiserver_flowcontrol_rejected_requests_total", "counter", "Requests sent away."
    )
    for (level, schema, reason), value in measures.refused.items():
        why = {"flow_schema": schema, "priority_level": level, "reason": reason}
        rejected.add(value, *labels_of(why))
    yield rejected
    waited = Family(
        "apiserver_flowcontrol_request_wait_duration_seconds", "histogram",
        "How long requests waited for their seat, in seconds.",
    )  # fmt: skip
    for (level, schema), waits in measures.waits.items():
        named = {"execute": "true", "flow_schema": schema, "priority_level": level}
        waited.observe(WAIT_BUCKETS, waits.counts, waits.seconds, labels_of(named))
    yield waited


def _seats(control: Control) -> Iterator[Family]:
    head = "apiserver_flowcontrol_"
    families = {
        name: Family(head + name, "gauge", told)
        for name, told in (
            ("nominal_limit_seats", "Seats of a level."),
            ("lower_limit_seats", "Seats of a level that are never lent."),
            ("upper_limit_seats", "The most seats that a level may have."),
            ("current_limit_seats", "Seats that a level has now."),
            ("request_concurrency_limit", "Seats of a level, under their former name."),
        )
    }
    for name, level in sorted(control.levels.items()):
        limits = level.limits
        values = (
            limits.nominal, limits.lower, limits.upper, max(limits.nominal, level.seats),
            limits.nominal,
        )  # fmt: skip
        for family, value in zip(families.values(), values, strict=True):
            family.add(value, ("priority_level", name))
    yield from families.values()


def _dump_levels(control: Control) -> str:
    rows = [
        "PriorityLevelName,\tActiveQueues,\tIsIdle,\tIsQuiescing,\tWaitingRequests,\t"
        "ExecutingRequests,\tDispatchedRequests,\tRejectedRequests,\tTimedoutRequests,\t"
        "CancelledRequests"
    ]
    for name, level in sorted(control.levels.items()):
        active = sum(1 for queue in level.queues.values() if queue.waiting)
        measures = control.measures
        ran = sum(n for (at, _), n in measures.dispatched.items() if at == name)
        refused = dict.fromkeys(("time-out", "cancelled"), 0) | {"": 0}
        for (at, _, reason), count in measures.refused.items():
            if at == name:
                refused[reason if reason in refused else ""] += count
        idle = not level.executing and not level.inqueue
        cells = (
            name, active, str(idle).lower(), "false", level.inqueue, level.executing, ran,
            refused[""], refused["time-out"], refused["cancelled"],
        )  # fmt: skip
        rows.append(",\t".join(map(str, cells)))
    return "\n".join(rows) + "\n"


def _dump_queues(control: Control) -> str:
    rows = [
        "PriorityLevelName,\tIndex,\tPendingRequests,\tExecutingRequests,\tSeatsInUse,\t"
        "NextDispatchR,\tInitialSeatsSum,\tMaxSeatsSum,\tTotalWorkSum"
    ]
    for name, level in sorted(control.levels.items()):
        for index, queue in sorted(level.queues.items()):
            cells = (
                name, index, len(queue.waiting), queue.executing, queue.executing,
                f"{queue.given:.8f}ss", queue.seats, queue.seats, f"{float(queue.seats):.8f}ss",
            )  # fmt: skip
            rows.append(",\t".join(map(str, cells)))
    return "\n".join(rows) + "\n"


def _dump_requests(control: Control) -> str:
    rows = [
        "PriorityLevelName,\tFlowSchemaName,\tQueueIndex,\tRequestIndexInQueue,\tFlowDistingsher,"
        "\tArriveTime,\tInitialSeats,\tFinalSeats,\tAdditionalLatency,\tStartTime"
    ]
    for name, level in sorted(control.levels.items()):
        for index, queue in sorted(level.queues.items()):
            for place, ticket in enumerate(queue.waiting):
                cells = (
                    name, ticket.schema, index, place, ticket.distinguisher,
                    f"{ticket.arrived:.6f}", ticket.width, 0, "0s", "",
                )  # fmt: skip
                rows.append(",\t".join(map(str, cells)))
    return "\n".join(rows) + "\n"


_DUMP: dict[str, Callable[[Control], str]] = {
    "dump_priority_levels": _dump_levels,
    "dump_queues": _dump_queues,
    "dump_requests": _dump_requests,
}
