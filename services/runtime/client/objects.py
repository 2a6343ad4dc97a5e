"""Calls on the API server's ``mesh.v1.Objects``: JSON text out, dicts or patches in."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar, cast

import msgspec
from grpc import aio

from pilothouse.protos.mesh.v1 import objects_pb2 as pb
from pilothouse.protos.mesh.v1.objects_pb2_grpc import ObjectsStub
from pilothouse.services.machinery.errors import ApiError, from_status
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import Resource
from pilothouse.services.runtime.control.measures import Spans
from pilothouse.services.runtime.rpc.claims import Pairs
from pilothouse.services.runtime.rpc.errors import from_rpc

CALL_SECONDS_MAX = 30.0
OK, CREATED = 200, 201

BOUNDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
"""Seconds that a call takes, as client-go sorts them."""

T = TypeVar("T")
_Method: TypeAlias = Callable[..., Awaitable[T]]

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]


@dataclass(frozen=True, slots=True)
class Event:
    """One change; ``json`` is empty on a BOOKMARK, ``initial_end`` marks the end of the present."""

    type: EventType
    revision: int
    json: str
    initial_end: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a kind: a namespace (empty for all) and selectors as kubectl writes them."""

    namespace: str = ""
    labels: str = ""
    fields: str = ""


EVERYTHING = Selection()


@dataclass(frozen=True, slots=True)
class Change:
    """A patch of one object, as :meth:`Objects.patch` takes it."""

    resource: Resource
    key: Key
    patch: dict[str, Any]
    subresource: str = ""
    strategic: bool = False


@dataclass(frozen=True, slots=True)
class Birth:
    """What to create, as :meth:`Objects.create` takes it."""

    resource: Resource
    namespace: str
    body: dict[str, Any]
    name: str = ""
    subresource: str = ""


class Objects:
    """The API server over one channel. Every call raises :class:`ApiError` and nothing else.

    ``before_write`` is asked before each write and refuses by raising ApiError; ``claim`` says
    under which term it is made. ``calls`` counts what was answered, by verb and HTTP code;
    ``took`` is how long that took, by verb.
    """

    def __init__(
        self,
        channel: aio.Channel,
        *,
        before_write: Callable[[], None] | None = None,
        claim: Callable[[], Pairs] = tuple,
    ) -> None:
        self.calls: Counter[tuple[str, int]] = Counter()
        self.took: defaultdict[str, Spans] = defaultdict(_spans)
        self._stub = ObjectsStub(channel)
        self._before_write = before_write or _allow
        self._claim = claim

    async def get(self, resource: Resource, key: Key, *, subresource: str = "") -> str:
        request = pb.GetRequest(
            resource=_named(resource),
            namespace=key.namespace,
            name=key.name,
            subresource=subresource,
        )
        return (await self._answer("GET", self._stub.Get(request, timeout=CALL_SECONDS_MAX))).json

    async def list(
        self, resource: Resource, selection: Selection = EVERYTHING
    ) -> tuple[Sequence[str], int]:
        """The objects' JSON and the revision at which all of them are true."""
        request = pb.ListRequest(
            resource=_named(resource),
            namespace=selection.namespace,
            label_selector=selection.labels,
            field_selector=selection.fields,
        )
        answer = await self._answer("GET", self._stub.List(request, timeout=CALL_SECONDS_MAX))
        return [item.json for item in answer.items], answer.revision

    async def watch(
        self, resource: Resource, selection: Selection = EVERYTHING, *, revision: int = 0
    ) -> AsyncIterator[Sequence[Event]]:
        """Batches of changes after ``revision``; with 0 the present state first."""
        request = pb.WatchRequest(
            resource=_named(resource),
            namespace=selection.namespace,
            label_selector=selection.labels,
            field_selector=selection.fields,
            revision=revision,
            send_initial=revision == 0,
        )
        call = self._stub.Watch(request)
        try:
            async for answer in call:
                yield [_event(event) for event in answer.events]
        except aio.AioRpcError as error:
            raise from_rpc(error) from None
        finally:
            call.cancel()

    async def create(
        self,
        resource: Resource,
        namespace: str,
        body: dict[str, Any],
        *,
        name: str = "",
        subresource: str = "",
    ) -> str:
        """Create ``body``; with a subresource, ``name`` is the parent (pods/binding)."""
        request = _create_request(Birth(resource, namespace, body, name, subresource))
        return (await self._write("POST", self._stub.Create, request)).json

    async def create_many(self, births: Sequence[Birth]) -> Sequence[ApiError | None]:
        """Create all, side by side; what stood in the way of each, in their order."""
        request = pb.CreateManyRequest(creations=[_create_request(birth) for birth in births])
        answer = await self._write("POST", self._stub.CreateMany, request)
        return [_refusal(outcome) for outcome in answer.outcomes]

    async def update(
        self, resource: Resource, key: Key, body: dict[str, Any], *, subresource: str = ""
    ) -> str:
        """Replace; ``metadata.resourceVersion`` in ``body`` makes it conditional."""
        request = pb.UpdateRequest(
            resource=_named(resource),
            namespace=key.namespace,
            name=key.name,
            subresource=subresource,
            json=_text(body),
        )
        return (await self._write("PUT", self._stub.Update, request)).json

    async def patch(
        self,
        resource: Resource,
        key: Key,
        patch: dict[str, Any],
        *,
        subresource: str = "",
        strategic: bool = False,
    ) -> str:
        """Merge ``patch``; ``metadata.uid`` or ``resourceVersion`` in it make it conditional."""
        request = _patch_request(Change(resource, key, patch, subresource, strategic))
        return (await self._write("PATCH", self._stub.Patch, request)).json

    async def patch_many(self, changes: Sequence[Change]) -> Sequence[str | ApiError]:
        """Patch all, side by side; what came of each, in their order."""
        request = pb.PatchManyRequest(patches=[_patch_request(change) for change in changes])
        answer = await self._write("PATCH", self._stub.PatchMany, request)
        return [_refusal(outcome) or outcome.object.json for outcome in answer.outcomes]

    async def delete(
        self,
        resource: Resource,
        key: Key,
        *,
        uid: str = "",
        grace_period_seconds: int | None = None,
        propagation_policy: str = "",
    ) -> None:
        """Delete; with ``uid`` only that very object."""
        request = pb.DeleteRequest(
            resource=_named(resource),
            namespace=key.namespace,
            name=key.name,
            uid=uid,
            grace_period_seconds=grace_period_seconds,
            propagation_policy=propagation_policy,
        )
        await self._write("DELETE", self._stub.Delete, request)

    async def _write(self, verb: str, method: _Method[T], request: Any) -> T:
        self._before_write()
        call = method(request, timeout=CALL_SECONDS_MAX, metadata=self._claim())
        return await self._answer(verb, call)

    async def _answer(self, verb: str, call: Awaitable[T]) -> T:
        began = time()
        try:
            answer = await call
        except aio.AioRpcError as error:
            refusal = from_rpc(error)
            self._answered(verb, refusal.http, began)
            raise refusal from None
        self._answered(verb, CREATED if verb == "POST" else OK, began)
        return answer

    def _answered(self, verb: str, code: int, began: float) -> None:
        self.calls[verb, code] += 1
        self.took[verb].observe(time() - began)


def time() -> float:
    """On the event loop's clock, seconds."""
    return asyncio.get_running_loop().time()


def _spans() -> Spans:
    return Spans(BOUNDS)


def _allow() -> None:
    """Nobody else writes."""


def _named(resource: Resource) -> pb.Resource:
    return pb.Resource(group=resource.group, version=resource.version, resource=resource.plural)


def _create_request(birth: Birth) -> pb.CreateRequest:
    return pb.CreateRequest(
        resource=_named(birth.resource),
        namespace=birth.namespace,
        name=birth.name,
        subresource=birth.subresource,
        json=_text(birth.body),
    )


def _patch_request(change: Change) -> pb.PatchRequest:
    return pb.PatchRequest(
        resource=_named(change.resource),
        namespace=change.key.namespace,
        name=change.key.name,
        subresource=change.subresource,
        type=pb.PatchRequest.STRATEGIC if change.strategic else pb.PatchRequest.MERGE,
        json=_text(change.patch),
    )


def _refusal(outcome: pb.Outcome) -> ApiError | None:
    if outcome.HasField("status"):
        return from_status(msgspec.json.decode(outcome.status))
    return None


def _text(body: dict[str, Any]) -> str:
    return msgspec.json.encode(body).decode()


def _event(event: pb.Event) -> Event:
    kind = cast("EventType", pb.Event.Type.Name(event.type))
    return Event(kind, event.object.revision, event.object.json, event.initial_end)
