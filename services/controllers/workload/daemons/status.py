"""What a DaemonSet's status says."""

from collections.abc import Set

from pilothouse.services.controllers.workload.daemons.placing import Places
from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.daemonsets import DaemonSet, DaemonSetStatus
from pilothouse.services.machinery.kinds.revisions import POD_HASH


def counted(daemonset: DaemonSet, places: Places, marks: Set[str], now: float) -> DaemonSetStatus:
    """Each node counts by the senior of its pods; ``marks`` are the present template's hashes."""
    least = daemonset.spec.min_ready_seconds
    wanted = [place for place in places.nodes if place.wanted]
    senior = [place.pods[0] for place in wanted if place.pods]
    available = sum(pods.available_in(pod, least, now) == 0 for pod in senior)
    return DaemonSetStatus(
        desired_number_scheduled=len(wanted),
        current_number_scheduled=len(senior),
        number_misscheduled=sum(bool(place.pods) and not place.wanted for place in places.nodes),
        number_ready=sum(pods.is_ready(pod) for pod in senior),
        updated_number_scheduled=sum(pod.metadata.labels.get(POD_HASH) in marks for pod in senior),
        number_available=available,
        number_unavailable=len(wanted) - available,
        observed_generation=daemonset.metadata.generation,
        collision_count=daemonset.status.collision_count,
    )
