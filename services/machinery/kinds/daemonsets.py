"""Facts about DaemonSets: a pod on every node that will have it."""

from functools import lru_cache

import msgspec

from pilothouse.services.machinery.kinds.pods import EMPTY, Toleration
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Metadata, View

GENERATION = "deprecated.daemonset.template.generation"
POD_GENERATION = "pod-template-generation"

_EXECUTED = ("not-ready", "unreachable")
_SCHEDULED = ("disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")


class RollingUpdate(View, frozen=True, kw_only=True):
    max_unavailable: int | str | None = None
    max_surge: int | str | None = None


class UpdateStrategy(View, frozen=True, kw_only=True):
    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class DaemonSetSpec(View, frozen=True, kw_only=True):
    min_ready_seconds: int = 0
    revision_history_limit: int = 10
    selector: LabelSelector | None = None
    update_strategy: UpdateStrategy = UpdateStrategy()
    template: msgspec.Raw = EMPTY


class DaemonSetStatus(View, frozen=True, kw_only=True):
    current_number_scheduled: int = 0
    number_misscheduled: int = 0
    desired_number_scheduled: int = 0
    number_ready: int = 0
    updated_number_scheduled: int = 0
    number_available: int = 0
    number_unavailable: int = 0
    observed_generation: int = 0
    collision_count: int | None = None


class DaemonSet(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()


@lru_cache(maxsize=2)
def tolerations(*, host_network: bool) -> tuple[Toleration, ...]:
    """What every daemon's pod tolerates, whatever its template says."""
    told = [(word, "NoExecute") for word in _EXECUTED]
    told += [(word, "NoSchedule") for word in _SCHEDULED]
    if host_network:
        told.append(("network-unavailable", "NoSchedule"))
    return tuple(
        Toleration(key=f"node.kubernetes.io/{word}", operator="Exists", effect=effect)
        for word, effect in told
    )
