"""Create, update and patch of stored objects."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pilothouse.services.apiserver.admission import chain
from pilothouse.services.apiserver.admission.nodes import node_of
from pilothouse.services.apiserver.admission.request import Admission
from pilothouse.services.apiserver.cache.items import Item
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects import conversion, managed, metadata, owned, refusals
from pilothouse.services.apiserver.objects.charging import Charging
from pilothouse.services.apiserver.objects.commits import Commits
from pilothouse.services.apiserver.objects.decoding import decode, to_stored
from pilothouse.services.apiserver.objects.managed import Entries, Owners, Tracking
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.objects.served import Kinds, Served
from pilothouse.services.apiserver.requests import (
    Stored,
    Target,
    User,
    WriteOptions,
    Written,
)
from pilothouse.services.apiserver.strategies import parts, warnings
from pilothouse.services.machinery import names, timestamps
from pilothouse.services.machinery.errors import ApiError, BadRequest, Cause, Timeout
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.storage import Changed

Document = dict[str, Any]
Build = Callable[[Document], Document]
"""Takes what is stored and returns what is wanted, in the stored kind's shape; may raise."""

RACES_MAX = 1000
"""Whoever loses so often has lost to so many: the request's time is over long before."""
GENERATED_MAX = 8
_PARTS = {"scale": ""}
_DEFAULTED_STATUSES = frozenset({"nodes", "services"})


@dataclass(frozen=True, slots=True)
class Change:
    """A write on what is there. ``part``: empty for the object itself, else a subresource.

    ``owners`` says who owns the fields from then on; without it that stays as it is.
    """

    user: User
    served: Served
    key: Key
    build: Build
    part: str = ""
    dry_run: bool = False
    owners: Owners | None = None
    warnings: list[str] = field(default_factory=list)


class Writes:
    """The writing half of the request path, after authorization."""

    def __init__(self, parts: Parts, kinds: Kinds, commits: Commits) -> None:
        self._parts = parts
        self._kinds = kinds
        self._commits = commits
        self._charging = Charging(parts, commits)
        self.tracking = Tracking(parts)

    async def create(
        self,
        user: User,
        kind: Kind,
        target: Target,
        body: Document,
        options: WriteOptions,
        owners: Entries | None = None,
    ) -> Written:
        """A new object; a generated name is chosen anew when it is taken.

        Its fields are the writer's but where ``owners`` says it otherwise.
        """
        unknown = decode(self._parts.walkers, kind, body, options.field_validation)
        metadata.place(kind, target.namespace, target.name, body)
        served = self._kinds.served(kind)
        if kind is not served.rests:
            body = to_stored(self._parts.walkers, kind, served.rests, body)
        tries = GENERATED_MAX if _generates(served.rests, body["metadata"]) else 1
        while True:
            tries -= 1
            try:
                stored, told = await self._create(user, served, body, options, owners)
            except Changed as lost:
                if tries > 0:
                    continue
                await self._commits.wait_for_winner(lost)
                name = lost.key.decode().rpartition("/")[2]
                chosen = not body["metadata"].get("name")
                taken = refusals.no_unique_name if chosen else refusals.already_exists
                raise taken(served.kind, name) from None
            shown = conversion.serve(kind, stored)
            return Written(shown, created=True, warnings=(*unknown, *told))

    async def _create(
        self,
        user: User,
        served: Served,
        body: Document,
        options: WriteOptions,
        owners: Entries | None,
    ) -> tuple[Stored, Sequence[str]]:
        """What is stored then, and the warnings of admission."""
        kind, parts = served.rests, self._parts
        given = body["metadata"]
        name = given.get("name") or (
            given["generateName"][: metadata.GENERATED_BASE_MAX] + parts.entropy.suffix()
        )
        key = Key(given.get("namespace", ""), name)
        if served.kind.custom is not None and served.kind.custom.terminating:
            why = "create not allowed while custom resource definition is terminating"
            raise refusals.forbidden(served.kind, name, why)
        document = self._born(served, body, name)
        if owners is None:
            # Before the server adds its own: what it chooses belongs to nobody.
            sent = given.get(managed.MEMBER)
            owners = self.tracking.born(served, document, sent, managed.writer(options))
        managed.put(document, owners)
        request = Admission(user, kind, key, document, parts.cache, parts.entropy.suffix())
        chain.admit_create(request)
        request.warnings.extend(owned.born(kind, document))
        free = _finalizers_are_free(kind)
        causes = metadata.check(document["metadata"], served.strategy.name, free=free)
        causes += served.strategy.check(document)
        causes += served.strategy.check_create(document)
        if causes:
            raise refusals.invalid(served.kind, name, causes)
        if str(given.get("resourceVersion") or "0").strip("0").isdigit():
            raise BadRequest("resourceVersion should not be set on objects to be created")
        request.warnings.extend(_warnings(kind, document, None))

        async def put() -> Stored:
            return await self._put_new(served, key, document, options)

        stored = await self._charging.store(request, put, dry_run=options.dry_run)
        return stored, request.warnings

    def _born(self, served: Served, body: Document, name: str) -> Document:
        """A new object of this name, with its defaults."""
        now = timestamps.render(self._parts.clock.now())
        uid = self._parts.entropy.uid()
        document = {**body, "metadata": metadata.born(body["metadata"], name, uid, now)}
        if served.ways.has_status and not served.ways.brings_status:
            document.pop("status", None)
        if served.ways.counts:
            document["metadata"]["generation"] = 1
        served.strategy.default(document)
        return document

    async def _put_new(
        self, served: Served, key: Key, document: Document, options: WriteOptions
    ) -> Stored:
        """Store it, holding the addresses of a Service if that is what it is."""
        kind = served.rests

        async def put() -> Stored:
            return await self._commits.create(
                kind,
                key,
                document,
                ttl_seconds=served.ways.ttl_seconds,
                dry_run=options.dry_run,
            )

        if kind.native != "services":
            return await put()
        return await self._holding(kind, document, put, dry_run=options.dry_run)

    async def _holding(
        self, kind: Kind, document: Document, put: Callable[[], Awaitable[Stored]], *, dry_run: bool
    ) -> Stored:
        """Store a Service while its addresses and ports are held; what is not stored lets go.

        What may be stored for all one knows keeps them; the repairs find out later.
        """
        claims, named = self._parts.claims, document["metadata"]
        held = await claims.hold(document, self._parts.entropy.uid(), dry_run=dry_run)
        try:
            if held.claim.causes:
                raise refusals.invalid(kind, named["name"], held.claim.causes)
            stored = await put()
        except (ApiError, Changed) as failure:
            if not isinstance(failure, Timeout):
                await claims.undo(held, named["uid"])
            raise
        if dry_run:
            await claims.undo(held, named["uid"])
        return stored

    async def change(self, change: Change) -> Stored:
        """Read, build, check and write; again when somebody else was faster."""
        served = change.served
        for _ in range(RACES_MAX):
            item = served.objects.get(change.key)
            if item is None:
                raise refusals.not_found(served.kind, change.key.name)
            try:
                return await self._change(change, item)
            except Changed as lost:
                await self._commits.wait_for_winner(lost)
        raise refusals.changed(served.kind, change.key.name)

    async def _change(self, change: Change, item: Item) -> Stored:
        served = change.served
        kind = served.rests
        old = msgspec.json.decode(item.stored.json)
        new = change.build(old)
        document = self._combined(change, new, old)
        if change.owners is not None:
            managed.put(document, change.owners(old, new, document))
        self._admit(change, old)
        causes = metadata.check_update(document["metadata"], old["metadata"])
        if not change.part:
            free = _finalizers_are_free(kind)
            causes += metadata.check(document["metadata"], served.strategy.name, free=free)
            causes += _broken(served, document, old)
            causes += served.strategy.check_update(document, old)
        elif change.part == "status":
            causes += served.strategy.check_status(document, old)
        if part := parts.of(kind.group, kind.kind, change.part):
            causes += served.strategy.check(document) if part.is_desired else []
            causes += part.check(document, old)
        if causes:
            raise refusals.invalid(served.kind, change.key.name, causes)
        if not change.part:
            change.warnings[:] = _warnings(kind, document, old)
        if _gone(document):
            return await self._commits.delete(kind, item, dry_run=change.dry_run)
        request = Admission(
            change.user, kind, change.key, document, self._parts.cache, old=old,
            subresource=change.part, warnings=change.warnings,
        )  # fmt: skip

        async def put() -> Stored:
            # After admission, which may still have changed it.
            if managed.settle_times(document, old) and not item.stale:
                return item.stored
            return await self._put(change, item, document)

        return await self._charging.store(request, put, dry_run=change.dry_run)

    async def _put(self, change: Change, item: Item, document: Document) -> Stored:
        served = change.served
        if served.rests.native == "services" and not change.part:
            return await self._update_service(change, item, document)
        ttl_seconds = served.ways.ttl_seconds
        return await self._commits.update(
            served.rests, item, document, ttl_seconds=ttl_seconds, dry_run=change.dry_run
        )

    def _combined(self, change: Change, new: Document, old: Document) -> Document:
        """The whole document that this write makes of the old one."""
        served, part = change.served, change.part
        kind = served.rests
        if part == "binding":
            return {**new, "metadata": metadata.changed(new["metadata"], old["metadata"])}
        own = parts.of(kind.group, kind.kind, part)
        document = own.take(new, old) if own else owned.combine(kind, part, new, old)
        given = new.get("metadata") or {}
        if part:
            given = owned.part_metadata(kind, part, given, old["metadata"])
        document["metadata"] = metadata.changed(given, old["metadata"])
        if part and not (own and own.is_desired):
            if part == "status" and kind.native in _DEFAULTED_STATUSES:
                served.strategy.default(document)
            return document
        if not part:
            owned.kept(kind, document, old)
        served.strategy.keep(document, old)
        served.strategy.default(document)
        desired = _beside_metadata if kind.custom is not None else _desired
        if served.ways.counts and desired(document) != desired(old):
            generation = old["metadata"].get("generation", 0) + 1
            document["metadata"]["generation"] = generation
        return document

    def _admit(self, change: Change, old: Document) -> None:
        """A kubelet changes only its own node, lease and pods."""
        node = node_of(change.user)
        if not node:
            return
        kind, key = change.served.rests, change.key
        owner = key.name
        if kind.native == "pods":
            owner = old.get("spec", {}).get("nodeName", "")
        elif kind.native not in {"nodes", "leases"}:
            return
        if owner != node:
            why = f'node "{node}" is not allowed to change what belongs to "{owner}"'
            raise refusals.forbidden(kind, key.name, why)

    async def _update_service(self, change: Change, item: Item, document: Document) -> Stored:
        kind = change.served.rests

        async def put() -> Stored:
            return await self._commits.update(kind, item, document, dry_run=change.dry_run)

        stored = await self._holding(kind, document, put, dry_run=change.dry_run)
        await self._parts.claims.release(item.stored, document)
        return stored


def _generates(kind: Kind, given: Document) -> bool:
    """Whether the name is to be generated; BadRequest-like Invalid when there is none at all."""
    if given.get("name"):
        return False
    if given.get("generateName"):
        return True
    raise refusals.invalid(
        kind, "", [names.required("metadata.name", "name or generateName is required")]
    )


def _finalizers_are_free(kind: Kind) -> bool:
    """Whether finalizers may be named without a domain: of custom kinds, and what defines them."""
    return kind.custom is not None or kind.native in {"apiservices", "customresourcedefinitions"}


def _warnings(kind: Kind, document: Document, old: Document | None) -> list[str]:
    if kind.custom is not None:
        return metadata.warn(document["metadata"], old["metadata"] if old else {})
    return warnings.of(kind, document, old)


def _desired(document: Document) -> Document:
    """What generation counts: everything but metadata and status."""
    return {name: value for name, value in document.items() if name not in {"metadata", "status"}}


def _broken(served: Served, document: Document, old: Document) -> list[Cause]:
    """Which rules of its kind a document breaks: none where all that they look at is as it was."""
    if served.rests.custom is None and _keeps_to(document, old):
        return []
    return served.strategy.check(document)


def _keeps_to(document: Document, old: Document) -> bool:
    before, now = old["metadata"], document["metadata"]
    if len(old) != len(document) or now.get("annotations") != before.get("annotations"):
        return False
    return all(old.get(name) == document[name] for name in document if name != "metadata")


def _beside_metadata(document: Document) -> Document:
    """The same of a custom object, whose status counts unless it is written apart."""
    return {name: value for name, value in document.items() if name != "metadata"}


def _gone(document: Document) -> bool:
    """Whether it was only waiting for this write to be gone."""
    held = document["metadata"]
    if "deletionTimestamp" not in held or held.get("finalizers"):
        return False
    if held.get("deletionGracePeriodSeconds"):
        return False
    return document["kind"] != "Namespace" or not document.get("spec", {}).get("finalizers")


def part_of(subresource: str) -> str:
    """The part of an object that a write through a subresource changes."""
    return _PARTS.get(subresource, subresource)


def expect_revision(kind: Kind, name: str, given: Document, old: Document) -> None:
    """Refuse a body that was made from another revision or another object.

    Raises:
        Conflict: the object has changed, or is another one of that name.
    """
    revision = given.get("resourceVersion")
    if revision and revision != old["resourceVersion"]:
        if not str(revision).isdigit():
            raise BadRequest(f"invalid resourceVersion {revision!r}")
        raise refusals.changed(kind, name)
    uid = given.get("uid")
    if uid and uid != old["uid"]:
        raise _precondition(kind, name, uid, old["uid"])


def _precondition(kind: Kind, name: str, wanted: str, found: str) -> ApiError:
    why = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
    return refusals.conflict(kind, name, why)
