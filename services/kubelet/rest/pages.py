"""What the kubelet says of pods and itself: ``/pods``, ``/configz``, ``/statusz``, ``/flagz``."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from pilothouse.services.kubelet.adapters.api.listing import Listing
from pilothouse.services.kubelet.configuration import documents
from pilothouse.services.kubelet.configuration.fields import KubeletConfiguration
from pilothouse.services.kubelet.node.node import VERSION
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.door import pages


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
        self._own = pages.Pages("kubelet", flags, clock=clock, version=VERSION)

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
        return self._own.statusz(request, _paths(request.app.router))

    async def _flagz(self, request: web.Request) -> web.Response:
        return self._own.flagz(request)


def _listed(items: list[dict[str, Any]]) -> web.Response:
    return web.json_response(
        {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}
    )


def _paths(router: web.UrlDispatcher) -> list[str]:
    """First segments of everything that is served."""
    found = {f"/{resource.canonical.split('/')[1]}" for resource in router.resources()}
    return sorted(found)
