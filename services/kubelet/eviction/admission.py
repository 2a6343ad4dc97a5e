"""Who is let in while the node is under pressure. Pure."""

from pilothouse.services.kubelet.eviction import messages
from pilothouse.services.kubelet.eviction.ranking import is_critical
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources.admission import Rejection
from pilothouse.services.kubelet.resources.qos import qos_class
from pilothouse.services.machinery.kinds.pods import tolerates

MEMORY_PRESSURE_TAINT = "node.kubernetes.io/memory-pressure"


def judge(pod: Pod, conditions: frozenset[str]) -> Rejection | None:
    """Short of memory, who asked for nothing is kept out; else everybody but the critical."""
    if not conditions or is_critical(pod):
        return None
    if conditions == {"MemoryPressure"}:
        modest = qos_class(pod) != "BestEffort"
        if modest or any(
            tolerates(item, MEMORY_PRESSURE_TAINT, "", "NoSchedule")
            for item in pod.spec.tolerations
        ):
            return None
    told = f"Pod was rejected: {messages.refused(conditions)}"
    return Rejection(messages.REASON, told)
