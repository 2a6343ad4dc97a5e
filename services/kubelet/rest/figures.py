"""``/stats/summary`` and ``/metrics``: measured when asked."""

import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from pilothouse.services.kubelet.adapters.certificates import identity
from pilothouse.services.kubelet.manifests import static_pods
from pilothouse.services.kubelet.metrics import cadvisor, resource
from pilothouse.services.kubelet.metrics import node as counted
from pilothouse.services.kubelet.metrics.cadvisor import Platform
from pilothouse.services.kubelet.metrics.meters import Meters, ProbeMeters
from pilothouse.services.kubelet.node.node import VERSION
from pilothouse.services.kubelet.stats import summary
from pilothouse.services.kubelet.stats.values import Usage, Usages
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.runtime import proc, telemetry
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.exposition import (
    OPEN_METRICS,
    TEXT,
    Family,
    render,
    wants_open_metrics,
)
from pilothouse.services.runtime.meters import families as shown

PROCESSING_AGE_SECONDS = 1.0
AGE_SECONDS = 10.0
"""What costs more than a look at cgroups is told again for this long."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What is told of. ``cgroup_root``: of all pods."""

    node: str
    cgroup_root: str
    platform: Platform
    pods: Pods
    usages: Usages
    meters: Meters
    probes: ProbeMeters
    clock: Clock


class Figures:
    """Five routes."""

    def __init__(self, sources: Sources, certificate: Path | None) -> None:
        """``certificate``: the kubelet's own, as a file."""
        self._sources = sources
        self._certificate = certificate
        self._log = telemetry.logger(part="figures")

    def add(self, router: web.UrlDispatcher) -> None:
        """Its routes."""
        for path in ("/stats/summary", "/stats/summary/"):
            router.add_get(path, self._summary)
        router.add_get("/metrics", self._metrics)
        router.add_get("/metrics/cadvisor", self._cadvisor)
        router.add_get("/metrics/resource", self._resource)
        router.add_get("/metrics/probes", self._probes)

    async def _summary(self, request: web.Request) -> web.Response:
        usages = self._sources.usages
        only = request.query.get("only_cpu_and_memory", "") in ("true", "1", "t", "T", "TRUE")
        if only:
            told = summary.render(
                await usages.processing(PROCESSING_AGE_SECONDS), only_processing=True
            )
        else:
            told = summary.render(await usages.everything(AGE_SECONDS))
        return web.json_response(told)

    async def _usage(self, *, complete: bool) -> Usage | None:
        try:
            if complete:
                return await self._sources.usages.everything(AGE_SECONDS)
            return await self._sources.usages.processing(PROCESSING_AGE_SECONDS)
        except OSError as error:
            self._log.warning("usage not measured", error=str(error))
            return None

    async def _resource(self, request: web.Request) -> web.Response:
        return _exposed(request, resource.families(await self._usage(complete=False)))

    async def _cadvisor(self, request: web.Request) -> web.Response:
        usage = await self._usage(complete=True)
        sources = self._sources
        return _exposed(request, cadvisor.families(usage, sources.platform, sources.cgroup_root))

    async def _probes(self, request: web.Request) -> web.Response:
        meters = self._sources.probes
        names = {worker.pod.uid for worker in self._sources.pods.workers()}
        meters.total.keep("pod_uid", names)
        own = (item for item in proc.families() if item.name == "process_start_time_seconds")
        return _exposed(request, (*shown(meters), *own))

    async def _metrics(self, request: web.Request) -> web.Response:
        return _exposed(request, self._all())

    def _all(self) -> Iterator[Family]:
        sources = self._sources
        now, own = sources.clock.now(), self._certificate
        left = None if own is None else identity.seconds_left(own, now)
        about = counted.About(sources.node, left, left)
        pods = [
            counted.Seen(
                worker.pod, worker.observed, worker.phase, static_pods.is_static(worker.pod)
            )
            for worker in sources.pods.workers()
        ]
        yield from counted.families(about, pods)
        yield from shown(sources.meters)
        yield from proc.families()
        yield counted.built(VERSION, f"python{platform.python_version()}")


def _exposed(request: web.Request, families: Iterable[Family]) -> web.Response:
    open_metrics = wants_open_metrics(request.headers.get("Accept", ""))
    body = render(families, open_metrics=open_metrics)
    return web.Response(body=body, headers={"Content-Type": OPEN_METRICS if open_metrics else TEXT})
