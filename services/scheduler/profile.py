"""The default profile: the plugins of Kubernetes' own, with its weights."""

from pilothouse.services.scheduler.framework import Profile, Weighted
from pilothouse.services.scheduler.plugins.balanced_allocation import BalancedAllocation
from pilothouse.services.scheduler.plugins.inter_pod_affinity import InterPodAffinity
from pilothouse.services.scheduler.plugins.least_allocated import LeastAllocated
from pilothouse.services.scheduler.plugins.node_affinity import NodeAffinity
from pilothouse.services.scheduler.plugins.node_name import NodeName
from pilothouse.services.scheduler.plugins.node_ports import NodePorts
from pilothouse.services.scheduler.plugins.node_resources_fit import NodeResourcesFit
from pilothouse.services.scheduler.plugins.node_unschedulable import NodeUnschedulable
from pilothouse.services.scheduler.plugins.owner_spread import OwnerSpread
from pilothouse.services.scheduler.plugins.pod_topology_spread import PodTopologySpread
from pilothouse.services.scheduler.plugins.taint_toleration import TaintToleration
from pilothouse.services.scheduler.plugins.volume_binding import VolumeBinding
from pilothouse.services.scheduler.plugins.volume_restrictions import VolumeRestrictions
from pilothouse.services.scheduler.plugins.volume_zone import VolumeZone

DEFAULT = Profile(
    filters=(
        NodeUnschedulable(),
        NodeName(),
        TaintToleration(),
        NodeAffinity(),
        NodePorts(),
        NodeResourcesFit(),
        VolumeRestrictions(),
        VolumeBinding(),
        VolumeZone(),
        PodTopologySpread(),
        InterPodAffinity(),
    ),
    preconditions=(VolumeBinding(),),
    scores=(
        Weighted(LeastAllocated(), 1),
        Weighted(BalancedAllocation(), 1),
        Weighted(OwnerSpread(), 2),
        Weighted(PodTopologySpread(), 2),
        Weighted(InterPodAffinity(), 2),
        Weighted(NodeAffinity(), 2),
        Weighted(TaintToleration(), 3),
    ),
)
