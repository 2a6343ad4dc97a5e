"""What a StatefulSet's status says."""

from collections.abc import Sequence

import msgspec

from pilothouse.services.controllers.workload.stateful import steps
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.revisions import POD_HASH
from pilothouse.services.machinery.kinds.statefulsets import StatefulSet, StatefulSetStatus


def counted(
    stateful: StatefulSet, owned: Sequence[Pod], current: str, update: str, now: float
) -> StatefulSetStatus:
    """The pods as they are; an update that has arrived everywhere makes its revision current."""
    staying = [pod for pod in owned if not pod.metadata.deleting]
    status = StatefulSetStatus(
        replicas=len(owned),
        ready_replicas=sum(steps.is_ready(pod) for pod in owned),
        available_replicas=sum(steps.is_available(stateful, pod, now) for pod in owned),
        current_replicas=_of(staying, current),
        updated_replicas=_of(staying, update),
        current_revision=current,
        update_revision=update,
        observed_generation=stateful.metadata.generation,
        collision_count=stateful.status.collision_count or 0,
    )
    arrived = (status.updated_replicas, status.ready_replicas, status.replicas)
    wanted = stateful.spec.replicas
    rolling = stateful.spec.update_strategy.type == "RollingUpdate"
    if rolling and arrived == (wanted, wanted, wanted):
        return msgspec.structs.replace(
            status, current_revision=update, current_replicas=status.updated_replicas
        )
    return status


def _of(staying: Sequence[Pod], revision: str) -> int:
    return sum(pod.metadata.labels.get(POD_HASH) == revision for pod in staying)
