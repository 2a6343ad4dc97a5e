"""Which nodes a pod must be on: its node selector and its required node affinity."""

from collections.abc import Mapping

from msgspec import field

from pilothouse.services.machinery.labels import LabelSelectorRequirement, Requirement
from pilothouse.services.machinery.objects import View

NAME_FIELD = "metadata.name"

OPERATORS = {
    "In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent",
    "Gt": "gt", "Lt": "lt",
}  # fmt: skip


class NodeSelectorTerm(View, frozen=True, kw_only=True):
    """All requirements must hold; a term without any matches no node."""

    match_expressions: tuple[LabelSelectorRequirement, ...] = ()
    match_fields: tuple[LabelSelectorRequirement, ...] = ()


class NodeSelector(View, frozen=True, kw_only=True):
    """One of the terms must match."""

    node_selector_terms: tuple[NodeSelectorTerm, ...] = ()


class NodeAffinity(View, frozen=True, kw_only=True):
    required: NodeSelector | None = field(
        default=None, name="requiredDuringSchedulingIgnoredDuringExecution"
    )


class Affinity(View, frozen=True, kw_only=True):
    node_affinity: NodeAffinity | None = None


def admits(
    selector: Mapping[str, str],
    affinity: Affinity | None,
    labels: Mapping[str, str],
    name: str,
) -> bool:
    """Whether a pod with this node selector and affinity may be on the node ``name``."""
    if any(labels.get(key) != value for key, value in selector.items()):
        return False
    required = affinity.node_affinity.required if affinity and affinity.node_affinity else None
    if required is None:
        return True
    return any(_meets(term, labels, name) for term in required.node_selector_terms)


def _meets(term: NodeSelectorTerm, labels: Mapping[str, str], name: str) -> bool:
    fields = {NAME_FIELD: name}
    wanted = [
        *((_requirement(item), labels) for item in term.match_expressions),
        *((_requirement(item), fields) for item in term.match_fields),
    ]
    return bool(wanted) and all(item.matches(values) for item, values in wanted)


def _requirement(item: LabelSelectorRequirement) -> Requirement:
    return Requirement(item.key, OPERATORS[item.operator], frozenset(item.values))


def named_node(affinity: Affinity | None) -> str:
    """The one node that the required affinity names; empty when it names none."""
    required = affinity.node_affinity.required if affinity and affinity.node_affinity else None
    if required is None:
        return ""
    named = (
        item.values[0]
        for term in required.node_selector_terms
        for item in term.match_fields
        if item.key == NAME_FIELD and item.operator == "In" and len(item.values) == 1
    )
    return next(named, "")
