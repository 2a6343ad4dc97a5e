"""Update and patch: from a body or a patch to a :class:`~.writes.Change`."""

from typing import Any

import msgspec

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects import conversion, metadata, scale
from pilothouse.services.apiserver.objects.decoding import decode
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.objects.served import Kinds
from pilothouse.services.apiserver.objects.writes import Change, Writes, expect_revision
from pilothouse.services.apiserver.requests import (
    Patch,
    Stored,
    Target,
    User,
    WriteOptions,
    Written,
)
from pilothouse.services.machinery.errors import (
    BadRequest,
    Invalid,
    MethodNotAllowed,
    UnsupportedMediaType,
)
from pilothouse.services.machinery.patch import jsonpatch, strategic
from pilothouse.services.machinery.patch.merge import merge

Document = dict[str, Any]

_REFUSED = frozenset({"ephemeralcontainers", "resize"})
_PARTS = {"approval": "status"}
_SCALE_KIND = Kind(
    "autoscaling", "v1", "scales", "scale", "Scale", namespaced=True, definition=scale.DEFINITION
)


class Updates:
    """Both end in the same change; they differ in how the wanted document comes about."""

    def __init__(self, parts: Parts, kinds: Kinds, writes: Writes) -> None:
        self._parts = parts
        self._kinds = kinds
        self._writes = writes

    async def update(
        self, user: User, kind: Kind, target: Target, body: Document, options: WriteOptions
    ) -> Written:
        """Replace what is there, under the condition that the body's metadata names."""
        _check_subresource(kind, target)
        shape = _SCALE_KIND if target.subresource == "scale" else kind
        warnings = decode(self._parts.walkers, shape, body, options.field_validation)
        metadata.place(shape if shape is kind else kind, target.namespace, target.name, body)

        def build(old: Document) -> Document:
            expect_revision(kind, target.name, body["metadata"], old["metadata"])
            return self._wanted(kind, target, old, dict(body))

        stored = await self._change(user, kind, target, build, options)
        return Written(stored, warnings=warnings)

    async def patch(
        self, user: User, kind: Kind, target: Target, patch: Patch, options: WriteOptions
    ) -> Written:
        """Change what is there by ``patch``."""
        _check_subresource(kind, target)
        warnings: tuple[str, ...] = ()
        shape = _SCALE_KIND if target.subresource == "scale" else kind

        def build(old: Document) -> Document:
            nonlocal warnings
            shown = scale.scale_of(old) if shape is _SCALE_KIND else self._served(kind, old)
            body = self._patched(shape, shown, patch)
            warnings = decode(self._parts.walkers, shape, body, options.field_validation)
            metadata.place(kind, target.namespace, target.name, body)
            expect_revision(kind, target.name, body["metadata"], old["metadata"])
            return self._wanted(kind, target, old, body)

        stored = await self._change(user, kind, target, build, options)
        return Written(stored, warnings=warnings)

    async def _change(
        self, user: User, kind: Kind, target: Target, build: Any, options: WriteOptions
    ) -> Stored:
        subresource = target.subresource
        part = "" if subresource == "scale" else _PARTS.get(subresource, subresource)
        change = Change(
            user, self._kinds.served(kind), target.key, build, part, dry_run=options.dry_run
        )
        stored = conversion.serve(kind, await self._writes.change(change))
        return show_scale(stored) if subresource == "scale" else stored

    def _served(self, kind: Kind, old: Document) -> Document:
        return conversion.to_served(kind, old) if kind.stored_as else old

    def _wanted(self, kind: Kind, target: Target, old: Document, body: Document) -> Document:
        """The stored kind's document that ``body`` means."""
        if target.subresource == "scale":
            return scale.scaled(old, body)
        if kind.stored_as:
            return conversion.to_stored(kind, self._parts.catalog.stored(kind), body)
        return body

    def _patched(self, kind: Kind, shown: Document, patch: Patch) -> Document:
        content = patch.content
        if patch.type == "apply":
            raise UnsupportedMediaType(
                "the body of the request was in an unknown format - accepted media types include: "
                "application/json-patch+json, application/merge-patch+json, "
                "application/strategic-merge-patch+json (server-side apply is not served yet)"
            )
        if patch.type == "json":
            return _json_patched(shown, content)
        if not isinstance(content, dict):
            raise BadRequest("a merge patch must be an object")
        if patch.type == "merge":
            result: Document = merge(shown, content)
            return result
        try:
            return strategic.apply(self._parts.shapes, kind.definition, shown, content)
        except strategic.Malformed as error:
            raise BadRequest(str(error)) from None


def show_scale(stored: Stored) -> Stored:
    """A workload's bytes as those of its Scale."""
    shown = scale.scale_of(msgspec.json.decode(stored.json))
    return Stored(stored.key, stored.revision, msgspec.json.encode(shown))


def _json_patched(shown: Document, content: Any) -> Document:
    try:
        result = jsonpatch.apply(shown, content)
    except jsonpatch.Malformed as error:
        raise BadRequest(str(error)) from None
    except jsonpatch.Impossible as error:
        raise Invalid(
            f"the server rejected our request due to an error in our request: {error}"
        ) from None
    if not isinstance(result, dict):
        raise BadRequest("the patch does not leave an object")
    return result


def _check_subresource(kind: Kind, target: Target) -> None:
    if target.subresource in _REFUSED:
        raise MethodNotAllowed(f"{kind.qualified}/{target.subresource} can not be changed yet")
