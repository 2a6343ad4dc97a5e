"""gRPC without a wire: the same stubs and servicers, calls that a script of faults may disturb."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, TypeAlias, cast

import grpc
from grpc import aio

from pilothouse.services.runtime.rpc.claims import Pairs
from pilothouse.services.runtime.rpc.errors import ErrorInterceptor
from pilothouse.services.runtime.rpc.server import Service

READS = frozenset({"Get", "List", "Watch"})
TOGETHER = "/WriteMany"
PEER = "unix:"
"""Whom the API server takes for its administrator: the private socket's clients."""

_GrpcMethod: TypeAlias = Any
Answers: TypeAlias = AsyncIterator[Any]


class Faults(Protocol):
    """What happens to calls. Each method may wait, and may raise :class:`Broken`."""

    async def before(self, caller: str, method: str, request: Any) -> None:
        """The request is on its way."""

    async def after(self, caller: str, method: str, request: Any) -> None:
        """The answer is; what is raised now is lost on a request that was carried out."""

    async def deliver(self, caller: str, request: Any) -> None:
        """A batch of a watch is on its way."""


class Broken(aio.AioRpcError):
    """A call that ended with this status."""

    def __init__(self, code: grpc.StatusCode, details: str, metadata: Any = ()) -> None:
        super().__init__(code, aio.Metadata(), aio.Metadata(*metadata), details)


@dataclass(frozen=True, slots=True)
class _Context:
    """What servicers ask of a call."""

    metadata: Pairs = ()

    def invocation_metadata(self) -> Pairs:
        return self.metadata

    def peer(self) -> str:
        return PEER

    async def abort(self, code: grpc.StatusCode, details: str, metadata: Any = ()) -> NoReturn:
        raise Broken(code, details, metadata)


@dataclass(frozen=True, slots=True)
class _Method:
    name: str
    act: Callable[[Any, Any], Any]


class _Registrar:
    """Collects what generated code registers."""

    def __init__(self) -> None:
        self.handlers: dict[str, _GrpcMethod] = {}

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        """The same methods once more."""

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, _GrpcMethod]
    ) -> None:
        for name, handler in handlers.items():
            self.handlers[f"/{service}/{name}"] = handler


@dataclass(frozen=True, slots=True)
class _Details:
    method: str


async def methods_of(service: Service) -> Mapping[str, _Method]:
    """Its methods by path, with errors translated as a real server does."""
    registrar = _Registrar()
    service.add(cast("aio.Server", registrar))
    made = {}
    for path, handler in registrar.handlers.items():

        async def found(_: Any, handler: Any = handler) -> Any:
            return handler

        wrapped = await ErrorInterceptor().intercept_service(
            found, cast("grpc.HandlerCallDetails", _Details(path))
        )
        act = wrapped.unary_unary or wrapped.unary_stream
        made[path] = _Method(path.rpartition("/")[2], act)
    return made


class Network:
    """Between callers and one server, which may be away. A call lives in a task of the server."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._methods: Mapping[str, _Method] = {}
        self._calls: dict[asyncio.Task[Any], None] = {}
        self._streams: dict[_Stream, None] = {}
        self._group: asyncio.TaskGroup | None = None

    @contextlib.asynccontextmanager
    async def serving(self, service: Service) -> AsyncIterator[None]:
        """``service`` answers while the block lasts; what is under way at its end is broken."""
        self._methods = await methods_of(service)
        try:
            async with asyncio.TaskGroup() as self._group:
                try:
                    yield
                finally:
                    self._methods = {}
                    for call in tuple(self._calls):
                        call.cancel()
        finally:
            self._group = None

    def cut(self, caller: str, choose: Callable[[Any], bool]) -> None:
        """End the watches of ``caller`` whose request is chosen."""
        for stream in [item for item in self._streams if item.caller == caller]:
            if choose(stream.request):
                stream.cut()

    async def call(self, caller: str, path: str, request: Any, metadata: Pairs = ()) -> Any:
        """One unary call; Broken."""
        name = path.rpartition("/")[2]
        await self.faults.before(caller, name, request)
        answer = await self._carry_out(path, request, metadata)
        await self.faults.after(caller, name, request)
        return answer

    async def _carry_out(self, path: str, request: Any, metadata: Pairs) -> Any:
        method, group = self._methods.get(path), self._group
        if method is None or group is None:
            raise Broken(grpc.StatusCode.UNAVAILABLE, "the server is away")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        sent = type(request)()
        sent.CopyFrom(request)
        task = group.create_task(_answer(method.act(sent, _Context(metadata)), answer))
        self._calls[task] = None
        task.add_done_callback(lambda done: self._calls.pop(done, None))
        try:
            return await answer
        finally:
            # The caller has gone, or its patience has: the server is told.
            task.cancel()

    def stream(self, caller: str, path: str, request: Any) -> "_Stream":
        """One watch."""
        made = _Stream(caller, request)
        if (task := self._begin(made, path, (), self._delivered)) is not None:
            self._streams[made] = None
            task.add_done_callback(lambda _: self._streams.pop(made, None))
        return made

    def together(self, caller: str, path: str, request: Any, metadata: Pairs) -> "_Stream":
        """Several writes in one message. Each has its fate; what breaks one breaks the message."""
        made = _Stream(caller, request)
        self._begin(made, path, metadata, self._fated)
        return made

    def _begin(
        self, made: "_Stream", path: str, metadata: Pairs, carried: Callable[..., Answers]
    ) -> asyncio.Task[None] | None:
        method, group = self._methods.get(path), self._group
        if method is None or group is None:
            made.end(Broken(grpc.StatusCode.UNAVAILABLE, "the server is away"))
            return None
        sent = type(made.request)()
        sent.CopyFrom(made.request)
        answers = carried(made.caller, made.request, method.act(sent, _Context(metadata)))
        made.task = task = group.create_task(made.fill(answers))
        self._calls[task] = None
        task.add_done_callback(lambda done: self._calls.pop(done, None))
        return task

    async def _delivered(self, caller: str, request: Any, answers: Answers) -> Answers:
        async with contextlib.aclosing(cast("Any", answers)) as open_answers:
            async for answer in open_answers:
                await self.faults.deliver(caller, request)
                yield answer

    async def _fated(self, caller: str, request: Any, answers: Answers) -> Answers:
        writes = request.writes
        async with contextlib.aclosing(cast("Any", answers)) as open_answers:
            for write in writes:
                await self.faults.before(caller, *_inner(write))
            async for answer in open_answers:
                for written in answer.written:
                    await self.faults.after(caller, *_inner(writes[written.index]))
                yield answer


def _inner(write: Any) -> tuple[str, Any]:
    """The call that a write of a message would be if it went alone."""
    act = write.WhichOneof("act")
    return act.capitalize(), getattr(write, act)


async def _answer(work: Awaitable[Any], answer: asyncio.Future[Any]) -> None:
    try:
        said = await work
    except asyncio.CancelledError:
        _fail(answer, Broken(grpc.StatusCode.UNAVAILABLE, "the connection is gone"))
        raise
    except aio.AioRpcError as error:
        _fail(answer, error)
    else:
        if not answer.done():
            answer.set_result(said)


def _fail(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()


class _Stream:
    """Answers as a caller reads them; a watch's bound is the registry's watcher."""

    def __init__(self, caller: str, request: Any) -> None:
        self.caller = caller
        self.request = request
        self.task: asyncio.Task[None] | None = None
        self._answers: asyncio.Queue[Any] = asyncio.Queue()

    async def fill(self, answers: AsyncIterator[Any]) -> None:
        """Carry answers over, each in its time."""
        error = Broken(grpc.StatusCode.UNAVAILABLE, "the connection is gone")
        try:
            async with contextlib.aclosing(cast("Any", answers)) as open_answers:
                async for answer in open_answers:
                    self._answers.put_nowait(answer)
        except aio.AioRpcError as broken:
            error = cast("Broken", broken)
        finally:
            self.end(error)

    def end(self, error: Exception) -> None:
        """After what is there already."""
        self._answers.put_nowait(error)

    def cut(self) -> None:
        """The connection breaks."""
        if self.task is not None:
            self.task.cancel()

    def cancel(self) -> bool:
        """The caller hangs up."""
        self.cut()
        return True

    async def __aiter__(self) -> AsyncIterator[Any]:
        while True:
            answer = await self._answers.get()
            if isinstance(answer, Exception):
                raise answer
            yield answer


class Line:
    """One process's way to the server; once broken off it leads nowhere."""

    def __init__(self, network: Network, caller: str) -> None:
        self.caller = caller
        self._network = network
        self._is_broken = False

    def break_off(self) -> None:
        """The process is no more."""
        self._is_broken = True

    def channel(self) -> aio.Channel:
        """What a generated stub takes for a channel."""
        return cast("aio.Channel", self)

    def unary_unary(self, path: str, *_: Any, **__: Any) -> Callable[..., Awaitable[Any]]:
        """As grpc's channel."""

        async def call(
            request: Any,
            *,
            timeout: float | None = None,  # noqa: ASYNC109 - its name
            metadata: Pairs = (),
        ) -> Any:
            self._check()
            try:
                async with asyncio.timeout(timeout):
                    return await self._network.call(self.caller, path, request, metadata)
            except TimeoutError:
                raise Broken(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded") from None

        return call

    def unary_stream(self, path: str, *_: Any, **__: Any) -> Callable[..., _Stream]:
        """As grpc's channel."""

        def call(request: Any, *, timeout: float = 0.0, metadata: Pairs = ()) -> _Stream:
            self._check()
            if path.endswith(TOGETHER):
                return self._network.together(self.caller, path, request, metadata)
            return self._network.stream(self.caller, path, request)

        return call

    def _check(self) -> None:
        if self._is_broken:
            raise Broken(grpc.StatusCode.UNAVAILABLE, "this process was killed")
