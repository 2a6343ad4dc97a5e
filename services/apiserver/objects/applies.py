"""Server-side apply: a configuration laid over what is there, or made when nothing is.

configuration ─▶ fits its type? ─▶ merged, pruned, conflicts ─▶ the same way as an update
                                                            └─▶ or as a create
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects import (
    conversion,
    lastapplied,
    managed,
    metadata,
    refusals,
    scale,
)
from pilothouse.services.apiserver.objects.decoding import decode, to_stored
from pilothouse.services.apiserver.objects.managed import Entries, ServedVersions, Writer, claimed
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.objects.served import Kinds, Served
from pilothouse.services.apiserver.objects.writes import Change, Writes, expect_revision, part_of
from pilothouse.services.apiserver.requests import (
    Patch,
    Stored,
    Target,
    User,
    WriteOptions,
    Written,
)
from pilothouse.services.machinery.errors import AlreadyExists, BadRequest, Conflict, NotFound
from pilothouse.services.machinery.fields import applying, managers, ownership, validation
from pilothouse.services.machinery.fields.conflicts import Conflicts
from pilothouse.services.machinery.fields.managers import Managed
from pilothouse.services.machinery.fields.types import Type

Document = dict[str, Any]

RACES_MAX = 8


@dataclass(frozen=True, slots=True)
class Asked:
    """One apply. ``configuration`` is in the words of ``served.kind`` and is not changed."""

    served: Served
    target: Target
    configuration: Document
    options: WriteOptions

    @property
    def writer(self) -> Writer:
        return Writer(self.options.field_manager, self.target.subresource)


class Applies:
    """``PATCH`` with ``application/apply-patch+yaml``."""

    def __init__(self, parts: Parts, kinds: Kinds, writes: Writes) -> None:
        self._parts = parts
        self._kinds = kinds
        self._writes = writes

    async def patch(
        self, user: User, kind: Kind, target: Target, patch: Patch, options: WriteOptions
    ) -> Written:
        """Apply; what is not there is created, if the user may and it is no subresource.

        Raises:
            BadRequest: the configuration does not fit its kind.
            Conflict: others own what it changes; the causes name each field.
        """
        if not options.field_manager:
            raise BadRequest("fieldManager: Required value: is required for apply patch")
        configuration = self._configuration(kind, target, patch.content)
        asked = Asked(self._kinds.served(kind), target, configuration, options)
        for _ in range(RACES_MAX):
            if asked.served.objects.get(target.key) is None and not target.subresource:
                try:
                    return await self._create(user, asked)
                except AlreadyExists:
                    continue
            try:
                return await self._update(user, asked)
            except NotFound:
                if target.subresource:
                    raise
        raise refusals.changed(kind, target.name)

    def _configuration(self, kind: Kind, target: Target, content: Any) -> Document:
        """The configuration as one of ``kind``; a Scale as its workload with these replicas."""
        if not isinstance(content, dict):
            raise BadRequest("error decoding patch: the configuration is not an object")
        scaling = target.subresource == "scale"
        shape = scale.KIND if scaling else kind
        given = (content.get("apiVersion", ""), content.get("kind", ""))
        if given != (shape.api_version, shape.kind):
            version = given[0] if "/" in str(given[0]) else f"/{given[0]}"
            raise BadRequest(f"invalid object type: {version}, Kind={given[1]}")
        named = content.get("metadata")
        if isinstance(named, dict) and named.get(managed.MEMBER) is not None:
            raise BadRequest("metadata.managedFields must be nil")
        wrong = validation.errors(self._parts.types.of_kind(shape.definition), content)
        if wrong:
            where = f"{target.namespace}/{target.name}"
            told = f"({where}; {shape.api_version}, Kind={shape.kind})"
            raise BadRequest(
                f"failed to create typed patch object {told}: {validation.told(wrong)}"
            )
        metadata.place(kind, target.namespace, target.name, _copy(content))
        return scale.applied(kind, content) if scaling else content

    async def _create(self, user: User, asked: Asked) -> Written:
        target, kind = asked.target, asked.served.kind
        await self._parts.authorizer.allow(user, "create", target)
        body = _copy(asked.configuration)
        given = body.setdefault("metadata", {})
        if uid := given.get("uid"):
            raise refusals.conflict(
                kind,
                target.name,
                f"uid mismatch: the provided object specified uid {uid}, and no existing object "
                "was found",
            )
        if given.get("resourceVersion"):
            raise refusals.changed(kind, target.name)
        body, entries = self._merged(asked, {}, {})
        return await self._writes.create(user, kind, target, body, asked.options, entries)

    async def _update(self, user: User, asked: Asked) -> Written:
        kind, target, options = asked.served.kind, asked.target, asked.options
        warnings: tuple[str, ...] = ()
        entries: Entries = ()

        def build(old: Document) -> Document:
            nonlocal warnings, entries
            live = conversion.to_served(kind, old) if kind is not asked.served.rests else old
            body, entries = self._merged(asked, live, self._managed(asked, live))
            warnings = decode(self._parts.walkers, kind, body, options.field_validation)
            metadata.place(kind, target.namespace, target.name, body)
            expect_revision(kind, target.name, body["metadata"], old["metadata"])
            causes = metadata.check_given(body["metadata"], old["metadata"])
            if causes:
                raise refusals.invalid(kind, target.name, causes)
            if kind is not asked.served.rests:
                return to_stored(self._parts.walkers, kind, asked.served.rests, body)
            return body

        def owners(old: Document, new: Document, document: Document) -> Entries:
            del old, new, document
            return entries

        part = part_of(target.subresource)
        change = Change(
            user, asked.served, target.key, build, part, dry_run=options.dry_run, owners=owners
        )
        stored = conversion.serve(kind, await self._writes.change(change))
        return Written(self._shown(asked, stored), warnings=(*warnings, *change.warnings))

    def _shown(self, asked: Asked, stored: Stored) -> Stored:
        return (
            scale.show(asked.served.kind, stored) if asked.target.subresource == "scale" else stored
        )

    def _managed(self, asked: Asked, live: Document) -> Managed:
        """The managers of the live object; of one that was never tracked, what all was before."""
        found = managers.stored(live["metadata"].get(managed.MEMBER, ()))
        if asked.target.subresource == "scale":
            return scale.with_owner(found, asked.served.kind, self._before(asked, live))
        return found or self._before(asked, live)

    def _before(self, asked: Asked, live: Document) -> Managed:
        who = replace(asked.writer, name=managers.BEFORE_FIRST_APPLY)
        write = self._writes.tracking.write(asked.served, who)
        return ownership.created(self._type(asked), claimed(live), write)

    def _type(self, asked: Asked) -> Type:
        return self._parts.types.of_kind(asked.served.kind.definition)

    def _merged(
        self, asked: Asked, live: Document, managed_now: Managed
    ) -> tuple[Document, Entries]:
        """What the apply makes of ``live``, and its managers; what is shared may be changed."""
        if live:
            named = live["metadata"]
            kept = {name: value for name, value in named.items() if name != managed.MEMBER}
            live = {**live, "metadata": kept}
        configuration = _copy(asked.configuration)
        try:
            new, after = self._applied(asked, managed_now, live, configuration, asked.options.force)
        except Conflicts as found:
            new, after = self._forced(asked, managed_now, live, configuration, found)
        if asked.options.field_manager == lastapplied.MANAGER:
            new = lastapplied.kept_in_step(new, asked.configuration)
        return {**new, "metadata": dict(new.get("metadata") or {})}, managers.encoded(after)

    def _applied(
        self,
        asked: Asked,
        managed_now: Managed,
        live: Document,
        configuration: Mapping[str, Any],
        force: bool,
    ) -> tuple[Document, Managed]:
        write = self._writes.tracking.write(asked.served, asked.writer, managers.APPLY)
        versions = ServedVersions(self._parts, asked.served.kind)
        return applying.applied(
            versions, managed_now, live, dict(configuration), write, force=force
        )

    def _forced(
        self,
        asked: Asked,
        managed_now: Managed,
        live: Document,
        configuration: Document,
        found: Conflicts,
    ) -> tuple[Document, Managed]:
        """Once more, where kubectl conflicts only with what it applied from the client's side.

        Raises:
            Conflict: it does not.
        """
        if asked.options.field_manager == lastapplied.MANAGER:
            own = lastapplied.fields(self._type(asked), live, asked.served.kind.api_version)
            found = found.without(own)
            if not found.found:
                return self._applied(asked, managed_now, live, configuration, True)
        raise Conflict(found.message, causes=found.causes())


def _copy(document: Document) -> Document:
    copied: Document = msgspec.json.decode(msgspec.json.encode(document))
    return copied
