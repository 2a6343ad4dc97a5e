"""What the kubelet says of pods and itself: ``/pods``, ``/configz``, ``/statusz``, ``/flagz``."""

import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from pilothouse.services.kubelet.adapters.listing import Listing
from pilothouse.services.kubelet.configuration import documents
from pilothouse.services.kubelet.configuration.fields import KubeletConfiguration
from pilothouse.services.kubelet.node.node import VERSION
from pilothouse.services.machinery import timestamps
from pilothouse.services.runtime import proc
from pilothouse.services.runtime.clock import Clock

_WARNING = (
    "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility "
    "guarantees and is for debugging purposes only."
)
_GROUP = "config.k8s.io"
_VERSIONS = ("v1beta1", "v1alpha1")
_HOUR, _MINUTE = 3600, 60


class Pages:
    """Documents; ``flags`` are those that were given, by name."""

    def __init__(
        self,
        listing: Listing,
        kubelet: KubeletConfiguration,
        flags: Mapping[str, str],
        clock: Clock,
    ) -> None:
        self._listing = listing
        self._kubelet = kubelet
        self._flags = flags
        self._clock = clock

    def add(self, router: web.UrlDispatcher) -> None:
        """Its routes; those of debugging are :meth:`add_debugging`'s."""
        router.add_get("/pods", self._pods)
        router.add_get("/pods/", self._pods)
        router.add_get("/statusz", self._statusz)
        router.add_get("/flagz", self._flagz)

    def add_debugging(self, router: web.UrlDispatcher) -> None:
        """Routes that ``enableDebuggingHandlers`` shuts."""
        router.add_get("/runningpods/", self._running)
        router.add_get("/configz", self._configz)

    async def _pods(self, request: web.Request) -> web.Response:
        return _listed(await self._listing.all())

    async def _running(self, request: web.Request) -> web.Response:
        return _listed(self._listing.running())

    async def _configz(self, request: web.Request) -> web.Response:
        return web.json_response({"kubeletconfig": documents.encode(self._kubelet)})

    async def _statusz(self, request: web.Request) -> web.Response:
        usage = proc.usage()
        up = int(self._clock.now() - usage.start_seconds)
        version = VERSION.removeprefix("v")
        paths = _paths(request.app.router)
        about: dict[str, Any] = {
            "startTime": timestamps.render(usage.start_seconds),
            "uptimeSeconds": up,
            "goVersion": f"python{platform.python_version()}",
            "binaryVersion": version,
            "emulationVersion": version.rpartition(".")[0],
            "paths": paths,
        }
        structured = _structured(request, "Statusz", about)
        if structured is not None:
            return structured
        started = datetime.fromtimestamp(usage.start_seconds, UTC)
        span = f"{up // _HOUR} hr {up % _HOUR // _MINUTE:02d} min {up % _MINUTE:02d} sec"
        lines = [
            f"Started: {started:%a %b %e %H:%M:%S} UTC {started:%Y}",
            f"Up: {span}",
            f"Go version: {about['goVersion']}",
            f"Binary version: {version}",
            f"Emulation version: {about['emulationVersion']}",
            f"Paths: {' '.join(paths)}",
        ]
        return _page("statusz", lines)

    async def _flagz(self, request: web.Request) -> web.Response:
        structured = _structured(request, "Flagz", {"flags": dict(self._flags)})
        if structured is not None:
            return structured
        return _page("flagz", [f"{name}={value}" for name, value in sorted(self._flags.items())])


def _listed(items: list[dict[str, Any]]) -> web.Response:
    return web.json_response(
        {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}
    )


def _page(name: str, lines: Iterable[str]) -> web.Response:
    text = "\n".join(("", f"kubelet {name}", _WARNING, "", *lines, ""))
    return web.Response(text=text)


def _structured(request: web.Request, kind: str, told: Mapping[str, Any]) -> web.Response | None:
    """The same as an object, when the client asks for just that."""
    for wish in request.headers.get("Accept", "").split(","):
        media, *parameters = (part.strip() for part in wish.split(";"))
        asked = dict(part.split("=", 1) for part in parameters if "=" in part)
        wanted = (asked.get("g"), asked.get("as")) == (_GROUP, kind)
        if media == "application/json" and wanted and asked.get("v") in _VERSIONS:
            head = {
                "kind": kind,
                "apiVersion": f"{_GROUP}/{asked['v']}",
                "metadata": {"name": "kubelet"},
            }
            return web.json_response(head | dict(told))
    return None


def _paths(router: web.UrlDispatcher) -> list[str]:
    """First segments of everything that is served."""
    found = {f"/{resource.canonical.split('/')[1]}" for resource in router.resources()}
    return sorted(found)
