"""``mesh.v1.Controllers``: what each loop is doing, and a push for those that should look again."""

import asyncio
from collections.abc import Mapping

from grpc import aio
from typing_extensions import override

from pilothouse.protos.mesh.v1 import controllers_pb2 as pb
from pilothouse.protos.mesh.v1 import controllers_pb2_grpc
from pilothouse.services.controllers import names
from pilothouse.services.controllers.adapters.world import Controller
from pilothouse.services.machinery.errors import BadRequest, NotFound
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.client.election import Term
from pilothouse.services.runtime.control.loop import Failure, Loop
from pilothouse.services.runtime.control.queue import State
from pilothouse.services.runtime.rpc.errors import Context
from pilothouse.services.runtime.rpc.server import Service

NAME = "pilothouse.mesh.v1.Controllers"
_SENTENCES = {
    State.IDLE: "nothing is to be done until something changes",
    State.DELAYED: "it is looked at again",
    State.QUEUED: "it waits for a worker",
    State.WORKING: "it is worked on",
}
FAILURES_MAX = 20


class Controllers(controllers_pb2_grpc.ControllersServicer):
    """All controllers of this process, by name."""

    def __init__(self, controllers: Mapping[str, Controller], term: Term | None) -> None:
        self._controllers = controllers
        self._term = term

    @override
    async def List(
        self, request: pb.ListControllersRequest, context: Context
    ) -> pb.ListControllersResponse:
        listed = (_encode(name, item) for name, item in sorted(self._controllers.items()))
        leader = self._term.holder if self._term is not None else ""
        return pb.ListControllersResponse(controllers=listed, leading=self._leads, leader=leader)

    @override
    async def Resync(self, request: pb.ResyncRequest, context: Context) -> pb.ResyncResponse:
        controller = self._named(request.controller)
        if request.namespace and not request.name:
            raise BadRequest("a namespace is given without a name")
        one = [Key(request.namespace, request.name)] if request.name else None
        keys = list(one or controller.keys())
        for key in keys:
            controller.loop.queue.add(key)
        return pb.ResyncResponse(queued=len(keys))

    @override
    async def Explain(
        self, request: pb.ExplainKeyRequest, context: Context
    ) -> pb.ExplainKeyResponse:
        if not request.name:
            raise BadRequest("a name is needed")
        controller, key = self._named(request.controller), Key(request.namespace, request.name)
        answer = _explained(controller.loop, key)
        if not self._leads and self._term is not None:
            leader = self._term.holder or "nobody yet"
            answer.summary = f"this process stands by, {leader} leads; here {answer.summary}"
        elif controller.loop.queue.state(key) is State.IDLE and key not in set(controller.keys()):
            answer.summary = f"{request.controller} knows of no object {key}"
        return answer

    @property
    def _leads(self) -> bool:
        return self._term is None or self._term.left_seconds > 0

    def _named(self, word: str) -> Controller:
        controller = self._controllers.get(names.ours(word))
        if controller is None:
            raise NotFound(f"there is no controller {word!r} here")
        return controller


def _encode(name: str, controller: Controller) -> pb.Controller:
    loop = controller.loop
    return pb.Controller(
        name=name,
        queued=len(loop.queue),
        working=loop.queue.working,
        retries=loop.retries,
        failures=[_encode_failure(loop, item) for item in loop.failures()[:FAILURES_MAX]],
        delayed=loop.queue.delayed,
        adds=loop.queue.adds,
        workers=loop.workers,
        longest_seconds=max(loop.queue.begun(asyncio.get_running_loop().time()), default=0.0),
    )


def _explained(loop: Loop, key: Key) -> pb.ExplainKeyResponse:
    state, due, failure = loop.queue.state(key), loop.queue.due_seconds(key), loop.failure(key)
    waits_for = loop.waits_for(key) if state in (State.IDLE, State.DELAYED) else ""
    summary = _SENTENCES[state]
    if state is State.DELAYED and due is not None:
        summary += f" in {due:.1f} s"
    if waits_for:
        summary = f"it waits for {waits_for}; {summary}"
    if failure is not None:
        summary += f"; it failed {failure.tries} times, lately with {failure.error}"
    return pb.ExplainKeyResponse(
        state=pb.ExplainKeyResponse.State.Value(state.name),
        due_seconds=due or 0.0,
        failure=None if failure is None else _encode_failure(loop, failure),
        summary=summary,
        waits_for=waits_for,
    )


def _encode_failure(loop: Loop, failure: Failure) -> pb.Failure:
    due = loop.queue.due_seconds(failure.key) or 0.0
    return pb.Failure(
        key=str(failure.key), error=failure.error, tries=failure.tries, due_seconds=due
    )


def service(controllers: Mapping[str, Controller], term: Term | None = None) -> Service:
    """The service as a server takes it; without a ``term`` this process always leads."""

    def add(server: aio.Server) -> None:
        servicer = Controllers(controllers, term)
        controllers_pb2_grpc.add_ControllersServicer_to_server(servicer, server)

    return Service(NAME, add)
