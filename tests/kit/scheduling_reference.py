"""The scheduler's rules once more, in plain Python over one node at a time: slow and obvious."""

from fractions import Fraction

from pilothouse.services.machinery import quantity
from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.labels import compile_selector

DEFAULT_MILLICPU = 100
DEFAULT_MEMORY = 200 * 1024 * 1024


class ReferenceNode:
    """One node and the views of the pods on it."""

    def __init__(self, node):
        self.node = node
        self.pods = []

    def amount(self, name):
        text = self.node.status.allocatable.get(name, 0)
        return quantity.milli(text) if name == "cpu" else quantity.ceiling(text)

    def fits(self, pod):
        if self.node.spec.unschedulable or len(self.pods) + 1 > self.amount("pods"):
            return False
        for taint in self.node.spec.taints:
            tolerated = any(
                pods.tolerates(item, taint.key, taint.value, taint.effect)
                for item in pod.spec.tolerations
            )
            if taint.effect != "PreferNoSchedule" and not tolerated:
                return False
        labels = self.node.metadata.labels
        if any(labels.get(key) != value for key, value in pod.spec.node_selector.items()):
            return False
        for name, need in pods.requests(pod.spec).items():
            used = sum(pods.requests(other.spec).get(name, 0) for other in self.pods)
            if need and used + need > self.amount(name):
                return False
        return True

    def free_share(self, pod, name, default):
        capacity = self.amount(name)
        if not capacity:
            return Fraction(0)
        needs = [
            pods.requests(other.spec).get(name, 0)
            + default * sum(name not in c.resources.requests for c in other.spec.containers)
            for other in [*self.pods, pod]
        ]
        return 1 - Fraction(sum(needs), capacity)


def best(nodes, pod):
    """The names of the nodes that fit and score highest (to a billionth)."""
    fitting = [node for node in nodes if node.fits(pod)]
    owner = pod.metadata.owner_references[0].uid if pod.metadata.owner_references else ""
    of_owner = {
        node.node.metadata.name: sum(
            any(reference.uid == owner for reference in other.metadata.owner_references)
            for other in node.pods
        )
        for node in nodes
    }
    soft = {
        node.node.metadata.name: sum(
            taint.effect == "PreferNoSchedule"
            and not any(
                pods.tolerates(item, taint.key, taint.value, taint.effect)
                for item in pod.spec.tolerations
            )
            for taint in node.node.spec.taints
        )
        for node in nodes
    }

    def score(node):
        name = node.node.metadata.name
        cpu = node.free_share(pod, "cpu", DEFAULT_MILLICPU)
        memory = node.free_share(pod, "memory", DEFAULT_MEMORY)
        total = max(50 * (cpu + memory), 0) + max(100 - 50 * abs(cpu - memory), 0)
        if owner and max(of_owner.values()):
            total += 2 * 100 * (1 - Fraction(of_owner[name], max(of_owner.values())))
        if max(soft.values()):
            total += 3 * 100 * (1 - Fraction(soft[name], max(soft.values())))
        return round(float(total), 9)

    scores = {node.node.metadata.name: score(node) for node in fitting}
    return {name for name, value in scores.items() if value == max(scores.values())}


def neighbours_allow(nodes, target, pod):
    """Whether required (anti-)affinity and hard spread let ``pod`` onto ``target``."""
    return (
        _affinity_allows(nodes, target, pod)
        and _anti_affinity_allows(nodes, target, pod)
        and all(
            _spread_allows(nodes, target, pod, constraint)
            for constraint in pod.spec.topology_spread_constraints
            if constraint.when_unsatisfiable == "DoNotSchedule"
        )
    )


def _terms(pod, kind):
    affinity = getattr(pod.spec.affinity, kind) if pod.spec.affinity else None
    return affinity.required if affinity else ()


def _meant(term, carrier, other):
    """Whether a term of ``carrier`` speaks of ``other``."""
    namespaces = term.namespaces or (carrier.metadata.namespace,)
    wanted = compile_selector(term.label_selector)
    return other.metadata.namespace in namespaces and wanted.matches(other.metadata.labels)


def _together(one, other, key):
    """Whether two nodes are in the same domain."""
    value = one.node.metadata.labels.get(key)
    return value is not None and value == other.node.metadata.labels.get(key)


def _affinity_allows(nodes, target, pod):
    terms = _terms(pod, "pod_affinity")
    everybody = [other for node in nodes for other in node.pods]
    if not any(_meant(term, pod, other) for term in terms for other in everybody) and all(
        _meant(term, pod, pod) for term in terms
    ):
        return all(term.topology_key in target.node.metadata.labels for term in terms)
    return all(
        any(
            _meant(term, pod, other)
            for node in nodes
            if _together(node, target, term.topology_key)
            for other in node.pods
        )
        for term in terms
    )


def _anti_affinity_allows(nodes, target, pod):
    for node in nodes:
        for other in node.pods:
            own = [(term, pod, other) for term in _terms(pod, "pod_anti_affinity")]
            theirs = [(term, other, pod) for term in _terms(other, "pod_anti_affinity")]
            for term, carrier, meant in own + theirs:
                if _meant(term, carrier, meant) and _together(node, target, term.topology_key):
                    return False
    return True


def _spread_allows(nodes, target, pod, constraint):
    hard = [
        item.topology_key
        for item in pod.spec.topology_spread_constraints
        if item.when_unsatisfiable == "DoNotSchedule"
    ]
    if any(key not in target.node.metadata.labels for key in hard):
        return False
    wanted = compile_selector(constraint.label_selector)
    selector = pod.spec.node_selector
    counts = {}
    for node in nodes:
        labels = node.node.metadata.labels
        if any(key not in labels for key in hard):
            continue
        if any(labels.get(key) != value for key, value in selector.items()):
            continue
        domain = labels[constraint.topology_key]
        counts[domain] = counts.get(domain, 0) + sum(
            other.metadata.namespace == pod.metadata.namespace
            and wanted.matches(other.metadata.labels)
            for other in node.pods
        )
    least = min(counts.values(), default=0)
    if constraint.min_domains and len(counts) < constraint.min_domains:
        least = 0
    own = wanted.matches(pod.metadata.labels)
    here = counts.get(target.node.metadata.labels[constraint.topology_key], 0)
    return here + own - least <= constraint.max_skew
