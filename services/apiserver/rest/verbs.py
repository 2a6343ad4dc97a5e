"""The verbs of REST, each one call on the registry."""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.apiserver.requests import FieldValidation, Patch, Target, Written
from pilothouse.services.apiserver.rest import bodies, replies, strict
from pilothouse.services.apiserver.rest.exchange import (
    LIST_SHAPES,
    OBJECT_SHAPES,
    Exchange,
    read_options,
)
from pilothouse.services.apiserver.rest.negotiation import patch_type
from pilothouse.services.apiserver.rest.watching import Lines, Watches, duration_seconds
from pilothouse.services.apiserver.rest.writing import write_options
from pilothouse.services.machinery.errors import BadRequest
from pilothouse.services.runtime import web
from pilothouse.services.runtime.clock import Clock

Verb: TypeAlias = Callable[[Exchange, Kind, Target], Awaitable[web.StreamResponse]]

CREATED = 201
ACCEPTED = 202

PODS_STAY = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background"
    " to remove them or set propagationPolicy=Orphan to suppress this warning"
)


class Verbs:
    """Reads the request, asks the registry, writes the answer."""

    def __init__(self, registry: Registry, clock: Clock, watches: Watches) -> None:
        self._registry = registry
        self._watches = watches
        self._now = clock.now
        self.by_name: dict[str, Verb] = {
            "get": self.get,
            "list": self.list,
            "watch": self.watch,
            "create": self.create,
            "update": self.update,
            "patch": self.patch,
            "delete": self.delete,
            "deletecollection": self.delete_collection,
        }

    async def get(self, exchange: Exchange, kind: Kind, target: Target) -> web.StreamResponse:
        """One object."""
        writer = self._writer(exchange, kind)
        revision = exchange.query.get("resourceVersion", "")
        return writer.object(await self._registry.get(exchange.user, target, revision))

    async def list(self, exchange: Exchange, kind: Kind, target: Target) -> web.StreamResponse:
        """A page of a collection."""
        options = read_options(exchange.query)
        writer = self._writer(exchange, kind, LIST_SHAPES)
        return await writer.list(await self._registry.list(exchange.user, target, options))

    async def watch(self, exchange: Exchange, kind: Kind, target: Target) -> web.StreamResponse:
        """A stream of changes."""
        options = read_options(exchange.query)
        seconds = duration_seconds(options)
        options = replace(options, timeout_seconds=seconds)
        lines = Lines(exchange, kind, self._now, self._watches.shared)
        batches = self._registry.watch(exchange.user, target, options)
        return await self._watches.stream(exchange, batches, lines, seconds)

    async def create(self, exchange: Exchange, kind: Kind, target: Target) -> web.StreamResponse:
        """A new object, or an act on one through a subresource."""
        options = write_options(exchange, "Create")
        writer = self._writer(exchange, kind)
        body = await self._document(exchange, kind)
        written = await self._registry.create(exchange.user, target, body.value, options)
        warnings = _warnings(body, written)
        return writer.object(written.object, status=CREATED, warnings=warnings)

    async def update(self, exchange: Exchange, kind: Kind, target: Target) -> web.StreamResponse:
        """An object replaced."""
        options = write_options(exchange, "Update")
        writer = self._writer(exchange, kind)
        body = await self._document(exchange, kind)
        written = await self._registry.update(exchange.user, target, body.value, options)
        status = CREATED if written.created else 200
        warnings = _warnings(body, written)
        return writer.object(written.object, status=status, warnings=warnings)

    async def patch(self, exchange: Exchange, kind: Kind, target: Target) -> web.StreamResponse:
        """An object changed."""
        sort = patch_type(exchange.request.headers.get("Content-Type", ""))
        options = write_options(exchange, "Patch", sort)
        writer = self._writer(exchange, kind)
        content = await exchange.body()
        read = _configuration if sort == "apply" else _patch
        try:
            body = read(content, options.field_validation)
        except bodies.Duplicated as refused:
            found = refused.decoded
            raise strict.refuse_patch(sort, found.value, found.duplicates) from None
        patch = Patch(sort, body.value)
        written = await self._registry.patch(exchange.user, target, patch, options)
        status = CREATED if written.created else 200
        warnings = _warnings(body, written)
        return writer.object(written.object, status=status, warnings=warnings)

    async def _document(self, exchange: Exchange, kind: Kind) -> bodies.Decoded:
        """The body; a refusal of keys given twice tells of unknown ones too."""
        try:
            return await exchange.document()
        except bodies.Duplicated as refused:
            found = refused.decoded
            at = strict.places(found.value)
            unknown = self._registry.unknown(kind, found.value)
            told = strict.complaints(found.duplicates, unknown, at)
            raise strict.refuse_object(kind, told) from None

    async def delete(self, exchange: Exchange, kind: Kind, target: Target) -> web.StreamResponse:
        """An object deleted, or marked so that whoever holds it back can finish."""
        options = await exchange.delete_options()
        writer = self._writer(exchange, kind)
        stored = await self._registry.delete(exchange.user, target, options)
        if not stored.deleted or kind.shown_when_deleted:
            stays = kind.native == "jobs" and not options.propagation_policy
            status = ACCEPTED if options.cascades and not stored.deleted else 200
            return writer.object(stored, status=status, warnings=(PODS_STAY,) if stays else ())
        return replies.document_reply(exchange, replies.deleted_status(kind, stored))

    async def delete_collection(
        self, exchange: Exchange, kind: Kind, target: Target
    ) -> web.StreamResponse:
        """Every selected object deleted; the list of what was there."""
        options = await exchange.delete_options()
        reading = read_options(exchange.query)
        writer = self._writer(exchange, kind, LIST_SHAPES)
        gone = await self._registry.delete_collection(exchange.user, target, reading, options)
        return await writer.list(gone)

    def _writer(
        self, exchange: Exchange, kind: Kind, shapes: frozenset[str] = OBJECT_SHAPES
    ) -> replies.Writer:
        return replies.Writer(exchange, kind, self._now, shapes)


def _patch(content: bytes, validation: FieldValidation) -> bodies.Decoded:
    return bodies.decode(content, "json", validation)


def _configuration(content: bytes, validation: FieldValidation) -> bodies.Decoded:
    """YAML; most of it is JSON too, and quicker to read as that."""
    if content.startswith(b"{"):
        with contextlib.suppress(BadRequest):
            return bodies.decode(content, "json", validation)
    return bodies.decode(content, "yaml", validation)


def _warnings(body: bodies.Decoded, written: Written) -> tuple[str, ...]:
    return (*strict.repeated(body.duplicates, written.warnings), *written.warnings)
