"""``/run`` and ``/checkpoint``: what is asked of one container and answered at once."""

from pathlib import Path
from typing import Protocol

from aiohttp import web

from pilothouse.services.kubelet.ports import Commands
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.kubelet.workers.worker import PodWorker
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import ApiError, InternalError, NotFound
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.clock import Clock

RUN_SECONDS_MAX = 3600


class Checkpoints(Protocol):
    """A runtime that may know how to freeze a container into a file."""

    async def checkpoint(self, id_: str, location: str, timeout_seconds: int) -> None: ...


class ContainerCommands:
    """Both routes."""

    def __init__(
        self,
        pods: Pods,
        commands: Commands,
        checkpoints: Checkpoints,
        directory: Path,
        clock: Clock,
    ) -> None:
        """``directory`` is where checkpoints go."""
        self._pods = pods
        self._commands = commands
        self._checkpoints = checkpoints
        self._directory = directory
        self._clock = clock

    def add(self, router: web.UrlDispatcher) -> None:
        """The route that is always there; others are :meth:`add_debugging`'s."""
        router.add_post("/checkpoint/{namespace}/{pod}/{container}", self._checkpoint)

    def add_debugging(self, router: web.UrlDispatcher) -> None:
        """Routes that ``enableDebuggingHandlers`` shuts."""
        for inside in ("{namespace}/{pod}/{container}", "{namespace}/{pod}/{uid}/{container}"):
            router.add_post(f"/run/{inside}", self._run)

    async def _run(self, request: web.Request) -> web.Response:
        worker = self._worker(request)
        name = request.match_info["container"]
        current = worker.observed.current(name)
        if current is None or current.state != "running":
            raise InternalError(f'container not found ("{name}")')
        command = request.query.get("cmd", "").split(" ")
        try:
            ran = await self._commands.run(current.id, command, RUN_SECONDS_MAX)
        except ApiError as error:
            raise InternalError(error.message) from None
        if ran.exit_code:
            said = ran.output.decode(errors="replace")
            raise InternalError(f"command terminated with exit code {ran.exit_code}: {said}")
        return web.Response(body=ran.output, content_type="application/json")

    async def _checkpoint(self, request: web.Request) -> web.Response:
        worker, info = self._worker(request), request.match_info
        name = info["container"]
        spec = worker.pod.spec
        every = (*spec.containers, *spec.init_containers, *spec.ephemeral_containers)
        if name not in {item.name for item in every}:
            raise NotFound(f"container {name} does not exist")
        wish = request.query.getall("timeout", ["0"])[-1]
        if not wish.isdecimal():
            raise NotFound("cannot parse value of timeout parameter")
        current = worker.observed.current(name)
        where = f"{info['namespace']}/{info['pod']}/{name}"
        if current is None or current.state != "running":
            why = f"container {name} is not running"
            raise InternalError(f"checkpointing of {where} failed ({why})")
        stamp = timestamps.render(self._clock.now())
        full = f"{info['pod']}_{info['namespace']}"
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = self._directory / f"checkpoint-{full}-{name}-{stamp}.tar"
        try:
            await self._checkpoints.checkpoint(current.id, str(place), int(wish))
        except ApiError as error:
            text = f"checkpointing of {where} failed ({error.message})"
            raise InternalError(text) from None
        return web.json_response({"items": [str(place)]})

    def _worker(self, request: web.Request) -> PodWorker:
        info = request.match_info
        worker = self._pods.find(Key(info["namespace"], info["pod"]))
        if worker is None or info.get("uid", worker.pod.uid) != worker.pod.uid:
            raise NotFound("pod does not exist")
        return worker
