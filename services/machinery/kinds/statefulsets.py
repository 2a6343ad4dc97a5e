"""Facts about StatefulSets: pods with a number, a name and claims of their own."""

import re

import msgspec

from pilothouse.services.machinery.kinds.pods import EMPTY
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Metadata, View

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"

_ORDINAL = re.compile(r"0|[1-9][0-9]{0,8}")


class Ordinals(View, frozen=True, kw_only=True):
    start: int = 0


class RollingUpdate(View, frozen=True, kw_only=True):
    partition: int = 0
    max_unavailable: int | str | None = None


class UpdateStrategy(View, frozen=True, kw_only=True):
    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class Retention(View, frozen=True, kw_only=True):
    """What becomes of claims: Retain or Delete."""

    when_deleted: str = "Retain"
    when_scaled: str = "Retain"


class StatefulSetSpec(View, frozen=True, kw_only=True):
    replicas: int = 1
    service_name: str = ""
    min_ready_seconds: int = 0
    revision_history_limit: int = 10
    pod_management_policy: str = "OrderedReady"
    selector: LabelSelector | None = None
    ordinals: Ordinals | None = None
    update_strategy: UpdateStrategy = UpdateStrategy()
    persistent_volume_claim_retention_policy: Retention | None = None
    volume_claim_templates: tuple[msgspec.Raw, ...] = ()
    template: msgspec.Raw = EMPTY


class StatefulSetStatus(View, frozen=True, kw_only=True):
    replicas: int = 0
    ready_replicas: int = 0
    current_replicas: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""
    observed_generation: int = 0
    collision_count: int | None = None


class StatefulSet(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()


def start(stateful: StatefulSet) -> int:
    """The first ordinal."""
    return stateful.spec.ordinals.start if stateful.spec.ordinals is not None else 0


def pod_name(stateful: StatefulSet, ordinal: int) -> str:
    return f"{stateful.metadata.name}-{ordinal}"


def ordinal_of(stateful: StatefulSet, name: str) -> int | None:
    """The number of the pod ``name``; None when it is none of the set's names."""
    parent, dash, number = name.rpartition("-")
    if not dash or parent != stateful.metadata.name or not _ORDINAL.fullmatch(number):
        return None
    return int(number)


def is_in_range(stateful: StatefulSet, ordinal: int) -> bool:
    """Whether there shall be a pod of this number."""
    first = start(stateful)
    return first <= ordinal < first + stateful.spec.replicas
