"""When a container that ended is run again: policy and back-off, from the runtime's own record.

The wait that follows a container's end is written on the container when it is made, so a restarted
kubelet goes on where the old one was: 0, 10, 20, 40 … 300 seconds, and from the start again after
a run of ten minutes.
"""

from pilothouse.services.kubelet.pod.observed import Container

WAIT_FIRST_SECONDS = 10.0
WAIT_MAX_SECONDS = 300.0
GOOD_RUN_SECONDS = 600.0


def should_run_again(policy: str, container: Container) -> bool:
    """Whether this ended container gets a successor under the pod's (or sidecar's) policy."""
    if policy == "Always":
        return True
    return policy == "OnFailure" and container.exit_code != 0


def _ran_well(container: Container) -> bool:
    return (
        container.started_at > 0
        and container.finished_at - container.started_at >= GOOD_RUN_SECONDS
    )


def due_at(container: Container) -> float:
    """When the successor of this ended container may start, in seconds since the epoch."""
    wait = 0.0 if _ran_well(container) else container.wait_seconds
    return container.finished_at + wait


def next_wait(container: Container | None) -> float:
    """The wait to write on the successor of ``container`` (None: there was none)."""
    if container is None:
        return 0.0
    if _ran_well(container) or container.wait_seconds == 0.0:
        return WAIT_FIRST_SECONDS
    return min(container.wait_seconds * 2, WAIT_MAX_SECONDS)


def retry_wait(wait_seconds: float, first: float, most: float) -> float:
    """The wait after another failure in a row: ``first``, doubled up to ``most``."""
    return first if wait_seconds == 0.0 else min(wait_seconds * 2, most)
