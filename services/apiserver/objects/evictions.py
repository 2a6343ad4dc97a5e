"""``eviction``: a pod is deleted when its disruption budget allows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects import budgets, refusals
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.objects.removals import Removals, check_preconditions
from pilothouse.services.apiserver.objects.served import Kinds
from pilothouse.services.apiserver.objects.writes import Change, Writes
from pilothouse.services.apiserver.requests import DeleteOptions, Target, User
from pilothouse.services.machinery.errors import BadRequest, Conflict, InternalError

Document = dict[str, Any]

TRIES_MAX = 20


def options_of(body: Document, *, dry_run: bool) -> DeleteOptions:
    """The DeleteOptions in an Eviction."""
    wanted = body.get("deleteOptions") or {}
    preconditions = wanted.get("preconditions") or {}
    listed = wanted.get("dryRun") or []
    if listed not in ([], ["All"]):
        raise BadRequest(f"Non-matching dry-run options in request and content: {listed}")
    return DeleteOptions(
        grace_period_seconds=wanted.get("gracePeriodSeconds"),
        uid=preconditions.get("uid") or "",
        resource_version=preconditions.get("resourceVersion") or "",
        propagation_policy=wanted.get("propagationPolicy") or "",
        dry_run=dry_run or bool(listed),
    )


class Evictions:
    """Asks the budget, marks the pod, deletes it."""

    def __init__(self, parts: Parts, kinds: Kinds, writes: Writes, removals: Removals) -> None:
        self._parts = parts
        self._kinds = kinds
        self._writes = writes
        self._removals = removals

    async def evict(self, user: User, kind: Kind, target: Target, options: DeleteOptions) -> None:
        """Delete the pod, or raise what stands against it.

        Raises:
            TooManyRequests: its budget allows no disruption now.
            InternalError: more than one budget selects it.
        """
        for tries in range(TRIES_MAX, 0, -1):
            pod = self._pod(kind, target)
            if not budgets.needs_none(pod):
                break
            pinned = options
            if budgets.may_become_ready(pod) and not options.resource_version:
                pinned = replace(options, resource_version=pod["metadata"]["resourceVersion"])
            try:
                await self._delete(user, kind, target, pinned)
            except Conflict:
                if options.resource_version or options.uid or tries == 1:
                    raise
                continue
            return
        await self._disrupt(user, kind, target, options)

    async def _disrupt(
        self, user: User, kind: Kind, target: Target, options: DeleteOptions
    ) -> None:
        pod = self._pod(kind, target)
        found = self._budgets_of(pod)
        if len(found) > 1:
            raise InternalError(budgets.SEVERAL)
        if not found:
            await self._delete(user, kind, target, options)
            return
        budget = found[0]
        name = budget["metadata"]["name"]
        if not budgets.is_ready(pod) and budgets.lets_unready_go(budget):
            version = options.resource_version or pod["metadata"]["resourceVersion"]
            try:
                await self._delete(user, kind, target, replace(options, resource_version=version))
            except Conflict:
                if options.resource_version:
                    raise
                raise budgets.busy(name) from None
            return
        now = self._parts.clock.now()
        await self._write(
            user,
            self._budget_kind(),
            replace(target, name=name),
            lambda old: budgets.taken(old, target.name, now),
            dry_run=options.dry_run,
        )
        await self._delete(user, kind, target, options)

    async def _delete(self, user: User, kind: Kind, target: Target, options: DeleteOptions) -> None:
        """Say on the pod why it goes, then delete it, both under the same preconditions."""
        if options.dry_run:
            await self._removals.delete(user, kind, target, options)
            return
        now = self._parts.clock.now()

        def mark(pod: Document) -> Document:
            check_preconditions(kind, pod["metadata"], options)
            return budgets.marked(pod, now)

        await self._write(user, kind, target, mark)
        # Only the condition was written since the precondition held.
        await self._removals.delete(user, kind, target, replace(options, resource_version=""))

    async def _write(
        self,
        user: User,
        kind: Kind,
        target: Target,
        build: Callable[[Document], Document],
        *,
        dry_run: bool = False,
    ) -> None:
        served = self._kinds.served(kind)
        await self._writes.change(
            Change(user, served, target.key, build, "status", dry_run=dry_run)
        )

    def _pod(self, kind: Kind, target: Target) -> Document:
        item = self._kinds.served(kind).objects.get(target.key)
        if item is None:
            raise refusals.not_found(kind, target.name)
        document: Document = msgspec.json.decode(item.stored.json)
        return document

    def _budget_kind(self) -> Kind:
        return self._parts.catalog.lookup("policy", "v1", "poddisruptionbudgets")

    def _budgets_of(self, pod: Document) -> list[Document]:
        namespace = pod["metadata"]["namespace"]
        kind = self._budget_kind()
        near = (
            msgspec.json.decode(stored.json)
            for stored in self._parts.cache.objects(kind.group, kind.plural)
            if stored.key.namespace == namespace
        )
        return [budget for budget in near if budgets.selects(budget, pod)]
