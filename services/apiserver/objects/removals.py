"""Delete: what goes at once, and what is only marked because somebody has to finish first."""

from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.services.apiserver.admission.nodes import node_of
from pilothouse.services.apiserver.cache.items import Item
from pilothouse.services.apiserver.crds import naming
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects import refusals
from pilothouse.services.apiserver.objects.commits import Commits
from pilothouse.services.apiserver.objects.served import Kinds, Served
from pilothouse.services.apiserver.requests import DeleteOptions, Stored, Target, User
from pilothouse.services.apiserver.strategies.cluster import SYSTEM
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import Cause, Invalid
from pilothouse.services.machinery.storage import Changed
from pilothouse.services.runtime.clock import Clock

Document = dict[str, Any]

DEFINITIONS = "customresourcedefinitions"
FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
POLICIES = {"Foreground": FOREGROUND, "Orphan": ORPHAN, "Background": ""}
GRACE_SECONDS = 30
PROTECTED = frozenset({"default", "kube-system", "kube-public"})
_RACES_MAX = 1000


@dataclass(frozen=True, slots=True)
class Marked:
    """The metadata that a delete leaves behind; None means that nothing stays."""

    metadata: Document | None
    changed: bool


class Removals:
    """The deleting part of the request path, after authorization."""

    def __init__(self, kinds: Kinds, commits: Commits, clock: Clock) -> None:
        self._kinds = kinds
        self._commits = commits
        self._clock = clock

    async def delete(
        self, user: User, kind: Kind, target: Target, options: DeleteOptions
    ) -> Stored:
        """Delete or mark; again when somebody wrote in between."""
        _check_options(kind, options)
        if kind.native == "namespaces" and target.name in PROTECTED:
            raise refusals.forbidden(kind, target.name, "this namespace may not be deleted")
        if kind.native == "priorityclasses" and target.name in SYSTEM:
            why = "this is a system priority class and cannot be deleted"
            raise refusals.forbidden(kind, target.name, why)
        served = self._kinds.served(kind)
        for _ in range(_RACES_MAX):
            item = served.objects.get(target.key)
            if item is None:
                raise refusals.not_found(kind, target.name)
            try:
                return await self._delete(user, served, item, options)
            except Changed as lost:
                await self._commits.wait_for_winner(lost)
        raise refusals.changed(kind, target.name)

    async def _delete(
        self, user: User, served: Served, item: Item, options: DeleteOptions
    ) -> Stored:
        kind = served.rests
        document = msgspec.json.decode(item.stored.json)
        check_preconditions(kind, document["metadata"], options)
        _check_node(user, kind, document)
        default = ORPHAN if served.ways.orphans else ""
        marked = mark(kind, document, options, default=default, now=self._clock.now())
        if marked.metadata is None:
            return await self._commits.delete(kind, item, dry_run=options.dry_run)
        if not marked.changed:
            return item.stored
        document["metadata"] = marked.metadata
        if kind.native == DEFINITIONS:
            verdict = naming.PENDING
            status = document.get("status") or {}
            document["status"] = naming.with_conditions(status, [verdict], self._clock.now())
        if kind.native == "namespaces":
            document["status"] = {**(document.get("status") or {}), "phase": "Terminating"}
        return await self._commits.update(kind, item, document, dry_run=options.dry_run)


def mark(
    kind: Kind, document: Document, options: DeleteOptions, *, default: str, now: float
) -> Marked:
    """What a delete makes of an object's metadata. ``default`` is the finalizer of its kind's
    own propagation policy.
    """
    old = document["metadata"]
    finalizers = _finalizers(old.get("finalizers") or [], options.propagation_policy, default)
    if kind.native == DEFINITIONS and "deletionTimestamp" not in old:
        finalizers = [*(each for each in finalizers if each != naming.FINALIZER), naming.FINALIZER]
    grace = _grace_seconds(kind, document, options)
    held = bool(finalizers) or grace > 0
    if kind.native == "namespaces" and (document.get("spec") or {}).get("finalizers"):
        held = True
    if not held:
        return Marked(None, changed=True)
    new = {name: value for name, value in old.items() if name != "resourceVersion"}
    if finalizers:
        new["finalizers"] = finalizers
    else:
        new.pop("finalizers", None)
    before = old.get("deletionGracePeriodSeconds", 0)
    if "deletionTimestamp" not in old:
        new["deletionTimestamp"] = timestamps.render(now + grace)
        new["deletionGracePeriodSeconds"] = grace
        if "generation" in old:
            new["generation"] = old["generation"] + 1
    elif grace < before:
        asked = timestamps.parse(old["deletionTimestamp"]) - before
        new["deletionTimestamp"] = timestamps.render(asked + grace)
        new["deletionGracePeriodSeconds"] = grace
    unchanged = {name: value for name, value in old.items() if name != "resourceVersion"}
    return Marked(new, changed=new != unchanged)


def _finalizers(old: list[str], policy: str, default: str) -> list[str]:
    special = {FOREGROUND, ORPHAN}
    if not policy:
        if special & set(old):
            return old
        return [*old, default] if default else old
    wanted = POLICIES[policy]
    kept = [name for name in old if name not in special or name == wanted]
    return kept if not wanted or wanted in kept else [*kept, wanted]


def _grace_seconds(kind: Kind, document: Document, options: DeleteOptions) -> int:
    """How long a pod's containers may take; everything else goes at once."""
    if kind.native != "pods" or kind.group:
        return 0
    spec = document.get("spec") or {}
    phase = (document.get("status") or {}).get("phase", "")
    if not spec.get("nodeName") or phase in {"Succeeded", "Failed"}:
        return 0
    asked = options.grace_period_seconds
    if asked is not None:
        return max(asked, 0)
    given: int = document["metadata"].get(
        "deletionGracePeriodSeconds", spec.get("terminationGracePeriodSeconds", GRACE_SECONDS)
    )
    return given


def _check_options(kind: Kind, options: DeleteOptions) -> None:
    if options.propagation_policy and options.propagation_policy not in POLICIES:
        supported = ", ".join(f'"{name}"' for name in (*POLICIES, "nil"))
        message = (
            f'Unsupported value: "{options.propagation_policy}": supported values: {supported}'
        )
        cause = Cause("propagationPolicy", message, "FieldValueNotSupported")
        raise Invalid(
            f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: {message}',
            subject=kind.subject(),
            causes=[cause],
        )


def check_preconditions(kind: Kind, metadata: Document, options: DeleteOptions) -> None:
    """Conflict unless the object is the very one, in the very state, that is meant."""
    name = metadata["name"]
    for word, wanted, found in (
        ("UID", options.uid, metadata["uid"]),
        ("ResourceVersion", options.resource_version, metadata["resourceVersion"]),
    ):
        if wanted and wanted != found:
            why = f"{word} in precondition: {wanted}, {word} in object meta: {found}"
            raise refusals.conflict(kind, name, f"Precondition failed: {why}")


def _check_node(user: User, kind: Kind, document: Document) -> None:
    """A kubelet deletes only pods of its own node."""
    node = node_of(user)
    if not node or kind.native != "pods":
        return
    if document["spec"].get("nodeName") != node:
        why = f'node "{node}" can only delete pods with spec.nodeName set to itself'
        raise refusals.forbidden(kind, document["metadata"]["name"], why)
