"""What a component says of itself: ``/statusz``, ``/flagz`` and ``/configz``, as upstream's do."""

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pilothouse.services.machinery import timestamps
from pilothouse.services.runtime import proc, web
from pilothouse.services.runtime.clock import Clock, SystemClock
from pilothouse.services.runtime.commandline import VERSION
from pilothouse.services.runtime.exposition import Family

WARNING = (
    "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility "
    "guarantees and is for debugging purposes only."
)
_GROUP = "config.k8s.io"
_VERSIONS = ("v1beta1", "v1alpha1")
_HOUR, _MINUTE = 3600, 60


@dataclass(frozen=True, slots=True)
class Pages:
    """Of ``component``; ``flags`` are all of its, by name, ``configuration`` is shown by kind."""

    component: str
    flags: Mapping[str, str] = field(default_factory=dict)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    clock: Clock = field(default_factory=SystemClock)
    version: str = VERSION

    def statusz(self, request: web.BaseRequest, paths: Iterable[str]) -> web.Response:
        """Since when it runs, and which version; ``paths`` are what else it serves."""
        usage = proc.usage()
        up = int(self.clock.now() - usage.start_seconds)
        version = self.version.removeprefix("v")
        about: dict[str, Any] = {
            "startTime": timestamps.render(usage.start_seconds),
            "uptimeSeconds": up,
            "goVersion": f"python{platform.python_version()}",
            "binaryVersion": version,
            "emulationVersion": version.rpartition(".")[0],
            "paths": sorted(paths),
        }
        structured = self._structured(request, "Statusz", about)
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
            f"Paths: {' '.join(about['paths'])}",
        ]
        return self._page("statusz", lines)

    def flagz(self, request: web.BaseRequest) -> web.Response:
        """With which flags it runs."""
        structured = self._structured(request, "Flagz", {"flags": dict(self.flags)})
        if structured is not None:
            return structured
        return self._page("flagz", [f"{name}={text}" for name, text in sorted(self.flags.items())])

    def built(self) -> tuple[Family]:
        """Which version it is, as a metric."""
        major, minor, _ = self.version.removeprefix("v").split(".", 2)
        family = Family("kubernetes_build_info", "gauge", "Always 1; the version in its labels.")
        python = ("go_version", f"python{platform.python_version()}")
        labels = (("git_version", self.version), python, ("major", major), ("minor", minor))
        return (family.add(1, *labels),)

    def configz(self) -> web.Response:
        """Its configuration as an object."""
        return web.json_response(dict(self.configuration))

    def _page(self, name: str, lines: Iterable[str]) -> web.Response:
        text = "\n".join(("", f"{self.component} {name}", WARNING, "", *lines, ""))
        return web.Response(text=text)

    def _structured(
        self, request: web.BaseRequest, kind: str, told: Mapping[str, Any]
    ) -> web.Response | None:
        """The same as an object, when the client asks for just that."""
        for wish in request.headers.get("Accept", "").split(","):
            media, *parameters = (part.strip() for part in wish.split(";"))
            asked = dict(part.split("=", 1) for part in parameters if "=" in part)
            wanted = (asked.get("g"), asked.get("as")) == (_GROUP, kind)
            if media == "application/json" and wanted and asked.get("v") in _VERSIONS:
                head = {
                    "kind": kind,
                    "apiVersion": f"{_GROUP}/{asked['v']}",
                    "metadata": {"name": self.component},
                }
                return web.json_response(head | dict(told))
        return None
