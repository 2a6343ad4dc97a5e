"""Whether the names of a definition are free in its group, and what its status says then. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilothouse.services.apiserver.crds import approval
from pilothouse.services.apiserver.crds.definition import Definition, Names
from pilothouse.services.machinery import timestamps

Document = dict[str, Any]

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The condition that one look at a definition comes to."""

    type: str
    status: str
    reason: str
    message: str


ESTABLISHED = Verdict(
    "Established", "True", "InitialNamesAccepted", "the initial names have been accepted"
)
NOT_ACCEPTED = Verdict("Established", "False", "NotAccepted", "not all names are accepted")
PENDING = Verdict(
    "Terminating", "True", "InstanceDeletionPending",
    "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
)  # fmt: skip
IN_PROGRESS = Verdict(
    "Terminating", "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress"
)
COMPLETED = Verdict("Terminating", "False", "InstanceDeletionCompleted", "removed all instances")


def plan(definition: Definition, others: Iterable[Definition]) -> tuple[Names, list[Verdict]]:
    """The names that are accepted and the conditions; ``others`` are those of the same group."""
    accepted, naming = _names(definition, others)
    verdicts = [naming]
    established = definition.condition("Established")
    if naming.status == "True":
        if not definition.is_true("Established"):
            verdicts.append(ESTABLISHED)
    elif established is None:
        verdicts.append(NOT_ACCEPTED)
    conformant = approval.condition(definition.spec.group, definition.metadata.annotations)
    if conformant is not None:
        type_ = "KubernetesAPIApprovalPolicyConformant"
        verdicts.append(Verdict(type_, *conformant))
    return accepted, verdicts


def _names(definition: Definition, others: Iterable[Definition]) -> tuple[Names, Verdict]:
    wanted, had = definition.spec.names, definition.status.accepted_names
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        names = other.status.accepted_names
        resources |= {names.plural, names.singular, *names.short_names}
        kinds |= {names.kind, names.list_kind}
    reason = message = ""
    result: dict[str, Any] = {"categories": wanted.categories}
    for field, title, used in (
        ("plural", "Plural", resources),
        ("singular", "Singular", resources),
        ("short_names", "ShortNames", resources),
        ("kind", "Kind", kinds),
        ("list_kind", "ListKind", kinds),
    ):
        taken = _taken(getattr(wanted, field), getattr(had, field), used)
        if taken:
            reason = f"{title}Conflict"
            message = taken[0] if len(taken) == 1 else f"[{', '.join(taken)}]"
        result[field] = getattr(had if taken else wanted, field)
    if reason:
        return Names(**result), Verdict("NamesAccepted", "False", reason, message)
    return Names(**result), Verdict("NamesAccepted", "True", "NoConflicts", "no conflicts found")


def _taken(wanted: Any, had: Any, used: set[str]) -> list[str]:
    if wanted == had:
        return []
    many = (wanted,) if isinstance(wanted, str) else wanted
    ours = (had,) if isinstance(had, str) else had
    return [f'"{name}" is already in use' for name in many if name in used and name not in ours]


def with_names(status: Mapping[str, Any], names: Names) -> Document:
    """The status with these accepted names."""
    accepted: Document = {"plural": names.plural, "kind": names.kind}
    if names.singular:
        accepted["singular"] = names.singular
    if names.short_names:
        accepted["shortNames"] = list(names.short_names)
    if names.list_kind:
        accepted["listKind"] = names.list_kind
    if names.categories:
        accepted["categories"] = list(names.categories)
    return {**status, "acceptedNames": accepted}


def with_conditions(status: Mapping[str, Any], verdicts: Sequence[Verdict], now: float) -> Document:
    """The status with these conditions; the time of one changes only with its status."""
    conditions = list(status.get("conditions") or ())
    for verdict in verdicts:
        old = next((item for item in conditions if item["type"] == verdict.type), None)
        made = {
            "type": verdict.type,
            "status": verdict.status,
            "lastTransitionTime": timestamps.render(now),
            "reason": verdict.reason,
            "message": verdict.message,
        }
        if old is None:
            conditions.append(made)
            continue
        same = all(old.get(name) == made[name] for name in ("status", "reason", "message"))
        if same:
            continue
        if old["status"] == verdict.status and "lastTransitionTime" in old:
            made["lastTransitionTime"] = old["lastTransitionTime"]
        conditions[conditions.index(old)] = made
    return {**status, "conditions": conditions}
