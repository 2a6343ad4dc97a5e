"""Update and patch: from a body or a patch to a :class:`~.writes.Change`."""

from typing import Any

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects import conversion, managed, metadata, refusals, scale
from pilothouse.services.apiserver.objects.applies import Applies
from pilothouse.services.apiserver.objects.decoding import Unfit, decode, to_stored
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.objects.served import Kinds
from pilothouse.services.apiserver.objects.writes import (
    Change,
    Writes,
    expect_revision,
    part_of,
)
from pilothouse.services.apiserver.requests import (
    Patch,
    Stored,
    Target,
    User,
    WriteOptions,
    Written,
)
from pilothouse.services.machinery.errors import (
    AlreadyExists,
    BadRequest,
    Invalid,
    RequestEntityTooLarge,
)
from pilothouse.services.machinery.patch import jsonpatch, strategic
from pilothouse.services.machinery.patch.merge import merge

Document = dict[str, Any]

CREATED_BY_UPDATE = frozenset(
    {"clusterrolebindings", "clusterroles", "endpoints", "events", "leases", "limitranges",
     "rolebindings", "roles", "runtimeclasses", "services"}
)  # fmt: skip
CONDITIONAL = frozenset(
    {"apiservices", "customresourcedefinitions", "leases", "mutatingwebhookconfigurations",
     "poddisruptionbudgets", "runtimeclasses", "validatingwebhookconfigurations"}
)  # fmt: skip
"""Whose updates must say what they were made from."""


class Updates:
    """Both end in the same change; they differ in how the wanted document comes about."""

    def __init__(self, parts: Parts, kinds: Kinds, writes: Writes) -> None:
        self._parts = parts
        self._kinds = kinds
        self._writes = writes
        self._applies = Applies(parts, kinds, writes)

    async def update(
        self, user: User, kind: Kind, target: Target, body: Document, options: WriteOptions
    ) -> Written:
        """Replace what is there, under the condition that the body's metadata names.

        Of a few kinds, what is not there is created, by whoever may do that.
        """
        if not target.subresource and kind.native in CREATED_BY_UPDATE:
            made = await self._create(user, kind, target, body, options)
            if made is not None:
                return made
        shape = scale.KIND if target.subresource == "scale" else kind
        warnings = decode(self._parts.walkers, shape, body, options.field_validation)
        metadata.place_changed(kind, target.namespace, target.name, body)

        def build(old: Document) -> Document:
            if _conditional(kind, target) and not body["metadata"].get("resourceVersion"):
                raise refusals.unconditional(kind, target.name)
            expect_revision(kind, target.name, body["metadata"], old["metadata"])
            _check_given(kind, target, body, old)
            return self._wanted(kind, target, old, dict(body))

        stored, told = await self._change(user, kind, target, build, options)
        return Written(stored, warnings=(*warnings, *told))

    async def _create(
        self, user: User, kind: Kind, target: Target, body: Document, options: WriteOptions
    ) -> Written | None:
        """The object made of ``body``, if there is none yet and it asks for no certain one."""
        named = body.get("metadata")
        if self._kinds.served(kind).objects.get(target.key) is not None:
            return None
        if not isinstance(named, dict) or named.get("uid"):
            return None
        await self._parts.authorizer.allow(user, "create", target)
        named.pop("resourceVersion", None)
        try:
            return await self._writes.create(user, kind, target, body, options)
        except AlreadyExists:
            return None

    async def patch(
        self, user: User, kind: Kind, target: Target, patch: Patch, options: WriteOptions
    ) -> Written:
        """Change what is there by ``patch``."""
        if patch.type == "apply":
            return await self._applies.patch(user, kind, target, patch, options)
        warnings: tuple[str, ...] = ()
        shape = scale.KIND if target.subresource == "scale" else kind
        minding = _minds_managers(patch)

        def build(old: Document) -> Document:
            nonlocal warnings
            shown = self._shown(kind, target, old)
            body = self._patched(shape, shown if minding else _plain(shown), patch)
            warnings = self._decoded(shape, body, patch, options)
            metadata.place_changed(kind, target.namespace, target.name, body)
            expect_revision(kind, target.name, body["metadata"], old["metadata"])
            _check_given(kind, target, body, old)
            return self._wanted(kind, target, old, body)

        stored, told = await self._change(user, kind, target, build, options)
        return Written(stored, warnings=(*warnings, *told))

    async def _change(
        self, user: User, kind: Kind, target: Target, build: Any, options: WriteOptions
    ) -> tuple[Stored, list[str]]:
        """What is stored then, and the warnings of admission."""
        subresource = target.subresource
        part = part_of(subresource)
        served = self._kinds.served(kind)
        owners = self._writes.tracking.updates(served, managed.writer(options, subresource))
        change = Change(
            user, served, target.key, build, part, dry_run=options.dry_run, owners=owners
        )
        stored = conversion.serve(kind, await self._writes.change(change))
        shown = show_scale(kind, stored) if subresource == "scale" else stored
        return shown, change.warnings

    def _decoded(
        self, shape: Kind, body: Document, patch: Patch, options: WriteOptions
    ) -> tuple[str, ...]:
        """The warnings about what a patch has made; Invalid where that can not be read."""
        strict = options.field_validation == "Strict"
        validation = "Warn" if strict else options.field_validation
        try:
            warnings = decode(self._parts.walkers, shape, body, validation)
        except Unfit as error:
            raise refusals.invalid_patch(patch.content, error.why) from None
        if strict and warnings:
            why = f"strict decoding error: {', '.join(warnings)}"
            raise refusals.invalid_patch(patch.content, why)
        return warnings

    def _shown(self, kind: Kind, target: Target, old: Document) -> Document:
        """What is stored as the one who patches sees it."""
        if target.subresource == "scale":
            return scale.of(kind, old, whole=False)
        return conversion.to_served(kind, old) if kind.stored_as else old

    def _wanted(self, kind: Kind, target: Target, old: Document, body: Document) -> Document:
        """The stored kind's document that ``body`` means."""
        if target.subresource == "scale":
            return scale.scaled(kind, old, body)
        if kind.stored_as:
            rests = self._parts.catalog.stored(kind)
            return to_stored(self._parts.walkers, kind, rests, body)
        return body

    def _patched(self, kind: Kind, shown: Document, patch: Patch) -> Document:
        content = patch.content
        if patch.type == "json":
            return _json_patched(shown, content)
        if not isinstance(content, dict):
            raise BadRequest("a merge patch must be an object")
        if patch.type == "merge":
            result: Document = merge(shown, content)
            return result
        if kind.custom is not None:
            raise refusals.unknown_patch()
        try:
            return strategic.apply(self._parts.shapes, kind.definition, shown, content)
        except strategic.Malformed as error:
            raise BadRequest(str(error)) from None


show_scale = scale.show


def _conditional(kind: Kind, target: Target) -> bool:
    if target.subresource == "scale":
        return False
    return kind.custom is not None or kind.native in CONDITIONAL


def _check_given(kind: Kind, target: Target, body: Document, old: Document) -> None:
    causes = metadata.check_given(body["metadata"], old["metadata"])
    if causes:
        raise refusals.invalid(kind, target.name, causes)


def _json_patched(shown: Document, content: Any) -> Document:
    try:
        result = jsonpatch.apply(shown, content)
    except jsonpatch.TooLarge as error:
        raise RequestEntityTooLarge(str(error)) from None
    except jsonpatch.Malformed as error:
        raise BadRequest(str(error)) from None
    except jsonpatch.Impossible as error:
        raise Invalid(
            f"the server rejected our request due to an error in our request: {error}"
        ) from None
    if not isinstance(result, dict):
        raise BadRequest("the patch does not leave an object")
    return result


def _minds_managers(patch: Patch) -> bool:
    """Whether a patch may look at managedFields or change them; most do not, and need not pay."""
    content = patch.content
    if isinstance(content, dict):
        given = content.get("metadata")
        return isinstance(given, dict) and managed.MEMBER in given
    return not isinstance(content, list) or any(
        not isinstance(each, dict) or _reaches_managers(each.get("path"), each.get("from", "/"))
        for each in content
    )


def _reaches_managers(*pointers: Any) -> bool:
    return any(
        not isinstance(pointer, str)
        or pointer in {"", "/metadata"}
        or pointer.startswith(f"/metadata/{managed.MEMBER}")
        for pointer in pointers
    )


def _plain(shown: Document) -> Document:
    """An object without its managedFields."""
    given = shown["metadata"]
    if managed.MEMBER not in given:
        return shown
    rest = {name: value for name, value in given.items() if name != managed.MEMBER}
    return {**shown, "metadata": rest}
