"""``mesh.v1.Objects`` over the registry: decode, one call, encode.

Watch streams are bounded by the registry's watcher: one that falls behind is cut off with
RESOURCE_EXHAUSTED and lists again.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import msgspec
from typing_extensions import override

from pilothouse.protos.mesh.v1 import objects_pb2 as pb
from pilothouse.protos.mesh.v1.objects_pb2_grpc import (
    ObjectsServicer,
    add_ObjectsServicer_to_server,
)
from pilothouse.services.apiserver.kinds.catalog import Catalog
from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.apiserver.requests import (
    DeleteOptions,
    Patch,
    PatchType,
    ReadOptions,
    Stored,
    Target,
    User,
    WatchEvent,
    WriteOptions,
)
from pilothouse.services.apiserver.rpc import together
from pilothouse.services.apiserver.rpc.fence import Fence
from pilothouse.services.apiserver.rpc.peers import Peers, program_of
from pilothouse.services.machinery.errors import BadRequest
from pilothouse.services.runtime.rpc.errors import Context
from pilothouse.services.runtime.rpc.server import Service

NAME = pb.DESCRIPTOR.services_by_name["Objects"].full_name

_PATCHES: dict[int, PatchType] = {
    pb.PatchRequest.MERGE: "merge",
    pb.PatchRequest.STRATEGIC: "strategic",
    pb.PatchRequest.JSON_PATCH: "json",
    pb.PatchRequest.APPLY: "apply",
}
_decode = msgspec.json.Decoder().decode


class Objects(ObjectsServicer):
    """The same request path as REST, one message an object."""

    def __init__(self, registry: Registry, catalog: Catalog) -> None:
        self._registry = registry
        self._catalog = catalog
        self._peers = Peers()
        self._fence = Fence(registry.parts.cache)

    @override
    async def Get(self, request: pb.GetRequest, context: Context) -> pb.Object:
        target = _target(request.resource, request.namespace, request.name, request.subresource)
        stored = await self._registry.get(self._peers.user(context), target)
        return self._object(request.resource, stored)

    @override
    async def List(self, request: pb.ListRequest, context: Context) -> pb.ListResponse:
        options = ReadOptions(
            label_selector=request.label_selector,
            field_selector=request.field_selector,
            limit=request.limit,
            continue_token=getattr(request, "continue"),
        )
        target = _target(request.resource, request.namespace)
        listing = await self._registry.list(self._peers.user(context), target, options)
        rest = {"continue": listing.continue_token}
        return pb.ListResponse(
            items=[self._object(request.resource, item) for item in listing.items],
            revision=listing.revision,
            **rest,
        )

    @override
    async def Watch(
        self, request: pb.WatchRequest, context: Context
    ) -> AsyncIterator[pb.WatchResponse]:
        options = ReadOptions(
            label_selector=request.label_selector,
            field_selector=request.field_selector,
            resource_version=str(request.revision) if request.revision else "",
            resource_version_match="NotOlderThan" if request.send_initial else "",
            send_initial_events=request.send_initial or None,
            allow_bookmarks=True,
        )
        target = _target(request.resource, request.namespace)
        user = self._peers.user(context)
        async for batch in self._registry.watch(user, target, options):
            yield pb.WatchResponse(events=[self._event(request.resource, item) for item in batch])

    @override
    async def Create(self, request: pb.CreateRequest, context: Context) -> pb.Object:
        return await self._created(await self._writer(context), request)

    @override
    async def CreateMany(
        self, request: pb.CreateManyRequest, context: Context
    ) -> pb.CreateManyResponse:
        user = await self._writer(context)

        async def create(one: pb.CreateRequest) -> pb.Object:
            return self._object(one.resource, await self._create(user, one), brief=True)

        return pb.CreateManyResponse(outcomes=await together.each(request.creations, create))

    async def _created(self, user: User, request: pb.CreateRequest) -> pb.Object:
        return self._object(request.resource, await self._create(user, request))

    async def _create(self, user: User, request: pb.CreateRequest) -> Stored:
        target = _target(request.resource, request.namespace, request.name, request.subresource)
        options = WriteOptions(dry_run=request.dry_run, agent=program_of(user))
        return (await self._registry.create(user, target, _body(request.json), options)).object

    @override
    async def Update(self, request: pb.UpdateRequest, context: Context) -> pb.Object:
        return await self._update(await self._writer(context), request)

    async def _update(self, user: User, request: pb.UpdateRequest) -> pb.Object:
        target = _target(request.resource, request.namespace, request.name, request.subresource)
        options = WriteOptions(dry_run=request.dry_run, agent=program_of(user))
        written = await self._registry.update(user, target, _body(request.json), options)
        return self._object(request.resource, written.object)

    @override
    async def Patch(self, request: pb.PatchRequest, context: Context) -> pb.Object:
        return await self._patch(await self._writer(context), request)

    @override
    async def PatchMany(
        self, request: pb.PatchManyRequest, context: Context
    ) -> pb.PatchManyResponse:
        patch = partial(self._patch, await self._writer(context))
        return pb.PatchManyResponse(outcomes=await together.each(request.patches, patch))

    async def _patch(self, user: User, request: pb.PatchRequest) -> pb.Object:
        target = _target(request.resource, request.namespace, request.name, request.subresource)
        kind = _PATCHES.get(request.type)
        if kind is None:
            raise BadRequest("type: must be one of MERGE, STRATEGIC, JSON_PATCH, APPLY")
        options = WriteOptions(
            dry_run=request.dry_run,
            field_manager=request.field_manager,
            force=request.force,
            agent=program_of(user),
        )
        patch = Patch(kind, _json(request.json))
        written = await self._registry.patch(user, target, patch, options)
        return self._object(request.resource, written.object)

    @override
    async def Delete(self, request: pb.DeleteRequest, context: Context) -> pb.Object:
        return await self._delete(await self._writer(context), request)

    async def _delete(self, user: User, request: pb.DeleteRequest) -> pb.Object:
        has_grace = request.HasField("grace_period_seconds")
        options = DeleteOptions(
            grace_period_seconds=request.grace_period_seconds if has_grace else None,
            uid=request.uid,
            resource_version=str(request.revision) if request.revision else "",
            propagation_policy=request.propagation_policy,
            dry_run=request.dry_run,
        )
        target = _target(request.resource, request.namespace, request.name)
        return self._object(request.resource, await self._registry.delete(user, target, options))

    @override
    async def WriteMany(
        self, request: pb.WriteManyRequest, context: Context
    ) -> AsyncIterator[pb.WriteManyResponse]:
        act = partial(self._act, await self._writer(context))
        async for written in together.as_known(request.writes, act):
            yield pb.WriteManyResponse(written=written)

    async def _act(self, user: User, write: pb.Write) -> pb.Object:
        match write.WhichOneof("act"):
            case "create":
                return await self._created(user, write.create)
            case "update":
                return await self._update(user, write.update)
            case "patch":
                return await self._patch(user, write.patch)
            case "delete":
                return await self._delete(user, write.delete)
        raise BadRequest("writes: must be one of create, update, patch, delete")

    async def _writer(self, context: Context) -> User:
        """Who writes, unless the term is over under which that was decided."""
        await self._fence.check(context)
        return self._peers.user(context)

    def _object(self, resource: pb.Resource, stored: Stored, *, brief: bool = False) -> pb.Object:
        kind = self._catalog.lookup(resource.group, resource.version, resource.resource)
        return pb.Object(
            api_version=kind.api_version,
            kind=kind.kind,
            namespace=stored.key.namespace,
            name=stored.key.name,
            revision=stored.revision,
            json="" if brief else stored.json.decode(),
        )

    def _event(self, resource: pb.Resource, event: WatchEvent) -> pb.Event:
        return pb.Event(
            type=pb.Event.Type.Value(event.type),
            object=self._object(resource, event.object),
            initial_end=event.initial_end,
        )


def service(registry: Registry, catalog: Catalog) -> Service:
    """What the gRPC server serves."""
    servicer = Objects(registry, catalog)
    return Service(NAME, lambda server: add_ObjectsServicer_to_server(servicer, server))


def _target(resource: pb.Resource, namespace: str, name: str = "", subresource: str = "") -> Target:
    return Target(resource.group, resource.version, resource.resource, namespace, name, subresource)


def _json(text: str) -> Any:
    try:
        return _decode(text)
    except msgspec.DecodeError as error:
        raise BadRequest(f"json: {error}") from None


def _body(text: str) -> dict[str, Any]:
    body = _json(text)
    if not isinstance(body, dict):
        raise BadRequest("json: must be an object")
    return body
