"""The fields of a pod that only the scheduler reads: affinity, spread constraints and gates."""

from msgspec import field

from pilothouse.services.machinery.kinds import affinity, pods
from pilothouse.services.machinery.kinds.affinity import NodeSelectorTerm
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import View


class PreferredNodeTerm(View, frozen=True, kw_only=True):
    weight: int
    preference: NodeSelectorTerm = NodeSelectorTerm()


class NodeAffinity(affinity.NodeAffinity, frozen=True, kw_only=True):
    preferred: tuple[PreferredNodeTerm, ...] = field(
        default=(), name="preferredDuringSchedulingIgnoredDuringExecution"
    )


class PodAffinityTerm(View, frozen=True, kw_only=True):
    """Pods of ``label_selector`` in the named namespaces (none: the pod's own)."""

    topology_key: str
    label_selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    namespace_selector: LabelSelector | None = None
    match_label_keys: tuple[str, ...] = ()
    mismatch_label_keys: tuple[str, ...] = ()


class PreferredPodTerm(View, frozen=True, kw_only=True):
    weight: int
    pod_affinity_term: PodAffinityTerm


class PodAffinity(View, frozen=True, kw_only=True):
    """``podAffinity`` and ``podAntiAffinity`` have the same shape."""

    required: tuple[PodAffinityTerm, ...] = field(
        default=(), name="requiredDuringSchedulingIgnoredDuringExecution"
    )
    preferred: tuple[PreferredPodTerm, ...] = field(
        default=(), name="preferredDuringSchedulingIgnoredDuringExecution"
    )


class Affinity(affinity.Affinity, frozen=True, kw_only=True):
    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class TopologySpreadConstraint(View, frozen=True, kw_only=True):
    max_skew: int
    topology_key: str
    when_unsatisfiable: str = "DoNotSchedule"
    label_selector: LabelSelector | None = None
    min_domains: int | None = None
    node_affinity_policy: str = "Honor"
    node_taints_policy: str = "Ignore"
    match_label_keys: tuple[str, ...] = ()


class SchedulingGate(View, frozen=True, kw_only=True):
    name: str


class Spec(pods.Spec, frozen=True, kw_only=True):
    affinity: Affinity | None = None
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] = ()
    scheduling_gates: tuple[SchedulingGate, ...] = ()


class Pod(pods.Pod, frozen=True, kw_only=True):
    """A pod with the fuller spec."""

    spec: Spec = Spec()
