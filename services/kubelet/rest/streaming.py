"""Answers that stream: a container's log, its processes, its ports."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from aiohttp import web

from pilothouse.services.kubelet.adapters.logs import reading
from pilothouse.services.kubelet.logs import Options, parse_options
from pilothouse.services.kubelet.pod.observed import Container
from pilothouse.services.kubelet.pod.views import STATUSES
from pilothouse.services.kubelet.rest import bridge, ports
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.kubelet.workers.worker import PodWorker
from pilothouse.services.machinery.errors import BadRequest, NotFound
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.clock import Clock

PORT_MAX = 65535
_STREAMS = (
    ("input", "stdin"), ("stdin", "stdin"), ("output", "stdout"), ("stdout", "stdout"),
    ("error", "stderr"), ("stderr", "stderr"), ("tty", "tty"),
)  # fmt: skip


class Streams(Protocol):
    """Where the runtime streams."""

    async def exec_url(self, id_: str, command: Sequence[str], streams: frozenset[str]) -> str: ...
    async def attach_url(self, id_: str, streams: frozenset[str]) -> str: ...
    async def forward_url(self, sandbox_id: str) -> str: ...


class Streaming:
    """The four routes."""

    def __init__(self, pods: Pods, streams: Streams, clock: Clock) -> None:
        self._pods = pods
        self._streams = streams
        self._clock = clock

    def add(self, router: web.UrlDispatcher) -> None:
        """Their paths."""
        router.add_get("/containerLogs/{namespace}/{pod}/{container}", self.logs)
        for method in ("GET", "POST"):
            for inside in ("{namespace}/{pod}/{container}", "{namespace}/{pod}/{uid}/{container}"):
                router.add_route(method, f"/exec/{inside}", self.exec)
                router.add_route(method, f"/attach/{inside}", self.attach)
            for inside in ("{namespace}/{pod}", "{namespace}/{pod}/{uid}"):
                router.add_route(method, f"/portForward/{inside}", self.forward)

    def _worker(self, request: web.Request) -> PodWorker:
        key = Key(request.match_info["namespace"], request.match_info["pod"])
        worker = self._pods.find(key)
        if worker is None:
            raise NotFound(f'pod "{key.name}" does not exist')
        if request.match_info.get("uid", worker.pod.uid) != worker.pod.uid:
            raise NotFound("pod not found")
        return worker

    def _running(self, request: web.Request) -> Container:
        name = request.match_info["container"]
        worker = self._worker(request)
        current = worker.observed.current(name)
        if current is None or current.state != "running":
            raise NotFound(f"container not found ({name!r}): it does not run")
        return current

    async def logs(self, request: web.Request) -> web.StreamResponse:
        """The log of a container, or of its predecessor."""
        name, pod = request.match_info["container"], request.match_info["pod"]
        options = parse_options(request.query, self._clock.now())
        worker = self._worker(request)
        spec = worker.pod.spec
        every = (*spec.containers, *spec.init_containers, *spec.ephemeral_containers)
        if every and name not in {item.name for item in every}:
            raise NotFound(f'container "{name}" not found in pod "{pod}"')
        instances = [item for item in worker.observed.of(name) if item.state != "created"]
        if options.previous:
            instances = [item for item in instances if item.state == "exited"]
            current = worker.observed.current(name)
            if current is not None and "terminated" in _state(worker, name):
                instances = [item for item in instances if item.id != current.id]
            if not instances:
                raise BadRequest(f'previous terminated container "{name}" in pod "{pod}" not found')
        elif not instances:
            reason = _state(worker, name).get("waiting", {}).get("reason", "ContainerCreating")
            raise BadRequest(f'container "{name}" in pod "{pod}" is waiting to start: {reason}')
        shown = instances[0]
        return await self._send(request, worker, shown, options)

    async def _send(
        self,
        request: web.Request,
        worker: PodWorker,
        shown: Container,
        options: Options,
    ) -> web.StreamResponse:
        def is_running() -> bool:
            found = [item for item in worker.observed.containers if item.id == shown.id]
            return bool(found) and found[0].state == "running"

        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        try:
            parts = reading.stream(Path(shown.log_path), options, is_running)
            started = False
            async for part in parts:
                if not started:
                    await response.prepare(request)
                    started = True
                await response.write(part)
            if not started:
                await response.prepare(request)
        except FileNotFoundError:
            raise NotFound(f"log of container {shown.name} is gone") from None
        await response.write_eof()
        return response

    async def exec(self, request: web.Request) -> web.StreamResponse:
        """A command in a container."""
        streams = _wanted(request)
        command = request.query.getall("command", [])
        if not command:
            raise BadRequest("no command")
        running = self._running(request)
        url = await self._streams.exec_url(running.id, command, streams)
        return await _interactive(request, url, streams)

    async def attach(self, request: web.Request) -> web.StreamResponse:
        """A container's own process."""
        streams = _wanted(request)
        running = self._running(request)
        spec = self._worker(request).pod.container(running.name)
        streams = streams | {"tty"} if spec.tty else streams - {"tty"}
        if not spec.stdin:
            streams -= {"stdin"}
        url = await self._streams.attach_url(running.id, streams)
        return await _interactive(request, url, streams)

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """A tunnel of SPDY to the runtime's port-forwarding server."""
        sandbox = self._worker(request).observed.sandbox
        if sandbox is None or not sandbox.ready:
            raise NotFound("pod has no running sandbox")
        url = await self._streams.forward_url(sandbox.id)
        if bridge.is_spdy(request):
            return await bridge.carried(request, url)
        if ports.PROTOCOL in request.headers.get("Sec-WebSocket-Protocol", ""):
            return await ports.forward(request, url, _ports(request))
        return await bridge.tunnel(request, url)


async def _interactive(
    request: web.Request, url: str, streams: frozenset[str]
) -> web.StreamResponse:
    if bridge.is_spdy(request):
        return await bridge.carried(request, url)
    return await bridge.interactive(request, url, streams)


def _ports(request: web.Request) -> list[int]:
    words = [word for text in request.query.getall("port", []) for word in text.split(",")]
    found = [int(word) for word in words if word.isdecimal() and 0 < int(word) <= PORT_MAX]
    if not found or len(found) != len(words) or len(found) * 2 > ports.CHANNELS_MAX:
        raise BadRequest(f"ports must be numbers between 1 and {PORT_MAX}: {words}")
    return found


def _wanted(request: web.Request) -> frozenset[str]:
    truth = {"1", "true"}
    found = frozenset(ours for name, ours in _STREAMS if request.query.get(name, "") in truth)
    if not found - {"tty"}:
        raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
    return found - {"stderr"} if "tty" in found else found


def _state(worker: PodWorker, name: str) -> dict[str, dict[str, str]]:
    for part in STATUSES:
        for item in worker.status.get(part) or ():
            if item["name"] == name:
                state: dict[str, dict[str, str]] = item["state"]
                return state
    return {}
