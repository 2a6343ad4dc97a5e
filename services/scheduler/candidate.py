"""A pod as the scheduler weighs it: compiled once from the view, then only compared."""

from collections.abc import Iterable, Mapping

import msgspec

from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.affinity import OPERATORS, NodeSelector, NodeSelectorTerm
from pilothouse.services.machinery.kinds.pods import Toleration
from pilothouse.services.machinery.labels import (
    LabelSelector,
    Requirement,
    Selector,
    compile_selector,
)
from pilothouse.services.machinery.objects import Key, controller_of
from pilothouse.services.scheduler import views

# What a container that asks for nothing is taken to use when nodes are ranked, never when it is
# asked whether it fits: so that pods without requests spread too.
RANKED_MILLICPU_DEFAULT = 100
RANKED_MEMORY_BYTES_DEFAULT = 200 * 1024 * 1024


class NodeTerm(msgspec.Struct, frozen=True):
    """Requirements on a node's labels and on its name; all must hold."""

    labels: tuple[Requirement, ...] = ()
    names: tuple[Requirement, ...] = ()


class Group(msgspec.Struct, frozen=True):
    """Pods that are counted together; a ``selector`` of None counts none.

    They live in ``namespaces`` or in one that ``namespace_selector`` matches; with ``live_only``
    pods that are being deleted do not count.
    """

    selector: Selector | None
    namespaces: frozenset[str]
    namespace_selector: Selector | None = None
    live_only: bool = False


class Term(msgspec.Struct, frozen=True):
    """Beside (or not beside) a group, where beside means: the same value of this node label."""

    group: Group
    topology_key: str


class Spread(msgspec.Struct, frozen=True):
    """One topology spread constraint."""

    term: Term
    max_skew: int
    min_domains: int
    honor_affinity: bool
    honor_taints: bool


class HostPort(msgspec.Struct, frozen=True):
    protocol: str
    port: int
    ip: str


class Need(msgspec.Struct, frozen=True):
    """A claim that the pod names, or its ``own``: one that is made for it."""

    claim: Key
    own: bool = False


class Neighbours(msgspec.Struct, frozen=True):
    """All that ties the pod to other pods; most pods have none of it."""

    beside: tuple[Term, ...] = ()
    apart: tuple[Term, ...] = ()
    spread: tuple[Spread, ...] = ()
    prefers: tuple[tuple[int, Term], ...] = ()
    prefers_spread: tuple[Spread, ...] = ()


STRANGER = Neighbours()


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """``amounts``: cpu in thousandths, all else in whole units, one ``pods`` among them."""

    key: Key
    uid: str = ""
    owner: str = ""
    labels: dict[str, str] = {}
    terminating: bool = False
    priority: int = 0
    node_name: str = ""
    amounts: dict[str, int] = msgspec.field(default_factory=lambda: {"pods": 1})
    ranked_millicpu: int = RANKED_MILLICPU_DEFAULT
    ranked_memory: int = RANKED_MEMORY_BYTES_DEFAULT
    tolerations: tuple[Toleration, ...] = ()
    host_ports: tuple[HostPort, ...] = ()
    node_selector: tuple[Requirement, ...] = ()
    node_terms: tuple[NodeTerm, ...] | None = None
    preferred_nodes: tuple[tuple[int, NodeTerm], ...] = ()
    neighbours: Neighbours = STRANGER
    claims: tuple[Need, ...] = ()


def from_pod(pod: views.Pod) -> Candidate:
    """Compile a pod; a malformed quantity (the API server lets none in) raises ValueError."""
    metadata, spec = pod.metadata, pod.spec
    owner = controller_of(metadata)
    needs = {name: amount for name, amount in pods.requests(spec).items() if amount}
    without_cpu = sum("cpu" not in item.resources.requests for item in spec.containers)
    without_memory = sum("memory" not in item.resources.requests for item in spec.containers)
    node = spec.affinity.node_affinity if spec.affinity is not None else None
    return Candidate(
        key=metadata.key,
        uid=metadata.uid,
        owner=owner.uid if owner is not None else "",
        labels=metadata.labels,
        terminating=metadata.deleting,
        priority=spec.priority,
        node_name=spec.node_name,
        amounts={**needs, "pods": 1},
        ranked_millicpu=needs.get("cpu", 0) + RANKED_MILLICPU_DEFAULT * without_cpu,
        ranked_memory=needs.get("memory", 0) + RANKED_MEMORY_BYTES_DEFAULT * without_memory,
        tolerations=spec.tolerations,
        host_ports=tuple(_host_ports(spec)),
        node_selector=_equal(spec.node_selector),
        node_terms=_node_terms(node),
        preferred_nodes=tuple(
            (item.weight, _node_term(item.preference)) for item in (node.preferred if node else ())
        ),
        neighbours=_neighbours(pod),
        claims=tuple(_claims(pod)) if spec.volumes else (),
    )


def _claims(pod: views.Pod) -> Iterable[Need]:
    metadata = pod.metadata
    for volume in pod.spec.volumes:
        if volume.persistent_volume_claim is not None:
            yield Need(Key(metadata.namespace, volume.persistent_volume_claim.claim_name))
        elif volume.ephemeral is not None:
            yield Need(Key(metadata.namespace, f"{metadata.name}-{volume.name}"), own=True)


def _host_ports(spec: views.Spec) -> Iterable[HostPort]:
    for container in (*spec.containers, *spec.init_containers):
        for port in container.ports:
            number = port.host_port or (port.container_port if spec.host_network else 0)
            if number:
                yield HostPort(port.protocol, number, port.host_ip or "0.0.0.0")


def _equal(labels: Mapping[str, str]) -> tuple[Requirement, ...]:
    if not labels:
        return ()
    return tuple(
        Requirement(key, "in", frozenset((value,))) for key, value in sorted(labels.items())
    )


def _node_terms(affinity: views.NodeAffinity | None) -> tuple[NodeTerm, ...] | None:
    if affinity is None or affinity.required is None:
        return None
    return node_terms(affinity.required)


def node_terms(selector: NodeSelector) -> tuple[NodeTerm, ...]:
    """Of which one must hold."""
    return tuple(_node_term(term) for term in selector.node_selector_terms)


def _node_term(term: NodeSelectorTerm) -> NodeTerm:
    return NodeTerm(
        tuple(
            Requirement(item.key, OPERATORS[item.operator], frozenset(item.values))
            for item in term.match_expressions
        ),
        tuple(
            Requirement(item.key, OPERATORS[item.operator], frozenset(item.values))
            for item in term.match_fields
        ),
    )


def _neighbours(pod: views.Pod) -> Neighbours:
    affinity, constraints = pod.spec.affinity, pod.spec.topology_spread_constraints
    beside = affinity.pod_affinity if affinity is not None else None
    apart = affinity.pod_anti_affinity if affinity is not None else None
    if beside is None and apart is None and not constraints:
        return STRANGER
    beside, apart = beside or views.PodAffinity(), apart or views.PodAffinity()
    likes = [(item.weight, _term(item.pod_affinity_term, pod)) for item in beside.preferred]
    shuns = [(-item.weight, _term(item.pod_affinity_term, pod)) for item in apart.preferred]
    hard = [item for item in constraints if item.when_unsatisfiable == "DoNotSchedule"]
    soft = [item for item in constraints if item.when_unsatisfiable != "DoNotSchedule"]
    return Neighbours(
        beside=tuple(_term(term, pod) for term in beside.required),
        apart=tuple(_term(term, pod) for term in apart.required),
        spread=tuple(_spread(item, pod) for item in hard),
        prefers=(*likes, *shuns),
        prefers_spread=tuple(_spread(item, pod) for item in soft),
    )


def _term(term: views.PodAffinityTerm, pod: views.Pod) -> Term:
    own = {pod.metadata.namespace} if term.namespace_selector is None else set[str]()
    labels = pod.metadata.labels
    selector = _with_keys(term.label_selector, term.match_label_keys, labels, "in")
    if selector is not None and term.mismatch_label_keys:
        others = _of_keys(term.mismatch_label_keys, labels, "notin")
        selector = Selector((*selector.requirements, *others))
    return Term(
        Group(
            selector,
            frozenset(term.namespaces or own),
            compile_selector(term.namespace_selector),
        ),
        term.topology_key,
    )


def _spread(item: views.TopologySpreadConstraint, pod: views.Pod) -> Spread:
    labels, namespace = pod.metadata.labels, pod.metadata.namespace
    selector = _with_keys(item.label_selector, item.match_label_keys, labels, "in")
    return Spread(
        Term(Group(selector, frozenset((namespace,)), live_only=True), item.topology_key),
        max_skew=item.max_skew,
        min_domains=item.min_domains or 1,
        honor_affinity=item.node_affinity_policy == "Honor",
        honor_taints=item.node_taints_policy == "Honor",
    )


def _with_keys(
    selector: LabelSelector | None, keys: Iterable[str], labels: Mapping[str, str], operator: str
) -> Selector | None:
    compiled = compile_selector(selector)
    if compiled is None or not keys:
        return compiled
    return Selector((*compiled.requirements, *_of_keys(keys, labels, operator)))


def _of_keys(
    keys: Iterable[str], labels: Mapping[str, str], operator: str
) -> Iterable[Requirement]:
    return [Requirement(key, operator, frozenset((labels[key],))) for key in keys if key in labels]
