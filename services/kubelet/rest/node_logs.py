"""``/logs/``: the node's own log files, read only, and nothing beside them."""

import html
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

LOGS = Path("/var/log")
NOT_FOUND = "404 page not found\n"


class NodeLogs:
    """Files below ``top``; a link that leads out of it leads nowhere."""

    def __init__(self, top: Path = LOGS) -> None:
        self._top = top

    def add(self, router: web.UrlDispatcher) -> None:
        """Its routes."""
        router.add_get("/logs", self._moved)
        router.add_get("/logs/{path:.*}", self._answer)

    async def _moved(self, request: web.Request) -> web.Response:
        return web.Response(status=301, headers={"Location": "logs/"})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            top = self._top.resolve(strict=True)
            place = (top / request.match_info["path"].lstrip("/")).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            return web.Response(status=404, text=NOT_FOUND)
        if not place.is_relative_to(top):
            return web.Response(status=404, text=NOT_FOUND)
        if place.is_dir():
            return _directory(place)
        if place.is_file():
            return web.FileResponse(place, headers={"Content-Type": "text/plain; charset=utf-8"})
        return web.Response(status=404, text=NOT_FOUND)


def _directory(place: Path) -> web.Response:
    names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in place.iterdir())
    rows = [f'<a href="{quote(name)}">{html.escape(name)}</a>' for name in names]
    text = "\n".join(("<pre>", *rows, "</pre>", ""))
    return web.Response(text=text, content_type="text/html")
