"""When a container that ended is run again: policy and back-off, from the runtime's own record.

The wait that follows a container's end is written on the container when it is made, so a restarted
kubelet goes on where the old one was: 0, 10, 20, 40 … 300 seconds, and from the start again after
a run of ten minutes.
"""

from pilothouse.services.kubelet.pod.observed import WAIT_MAX_SECONDS, Container
from pilothouse.services.kubelet.pod.views import Container as Spec
from pilothouse.services.kubelet.pod.views import EphemeralContainer, Pod, RestartRule

WAIT_FIRST_SECONDS = 10.0
GOOD_RUN_SECONDS = 600.0


def policy_of(pod: Pod, spec: Spec) -> str:
    """The restart policy that counts for this container: its own, or the pod's."""
    if isinstance(spec, EphemeralContainer):
        return "Never"
    if spec.restart_policy:
        return spec.restart_policy
    if spec in pod.spec.init_containers and pod.spec.restart_policy != "Never":
        return "OnFailure"
    return pod.spec.restart_policy


def should_run_again(pod: Pod, spec: Spec, container: Container) -> bool:
    """Whether this ended container gets a successor: by its own rules, else by its policy."""
    if any(_matches(rule, container.exit_code) for rule in spec.restart_policy_rules):
        return True
    policy = policy_of(pod, spec)
    return policy == "Always" or (policy == "OnFailure" and container.exit_code != 0)


def _matches(rule: RestartRule, exit_code: int) -> bool:
    codes = rule.exit_codes
    if rule.action != "Restart" or codes is None:
        return False
    return (exit_code in codes.values) == (codes.operator == "In")


def _ran_well(container: Container) -> bool:
    return (
        container.started_at > 0
        and container.finished_at - container.started_at >= GOOD_RUN_SECONDS
    )


def due_at(container: Container) -> float:
    """When the successor of this ended container may start, in seconds since the epoch."""
    wait = 0.0 if _ran_well(container) else container.wait_seconds
    return container.finished_at + wait


def next_wait(container: Container | None, most: float = WAIT_MAX_SECONDS) -> float:
    """The wait to write on the successor of ``container`` (None: there was none)."""
    if container is None:
        return 0.0
    if _ran_well(container) or container.wait_seconds == 0.0:
        return min(WAIT_FIRST_SECONDS, most)
    return min(container.wait_seconds * 2, most)


def retry_wait(wait_seconds: float, first: float, most: float) -> float:
    """The wait after another failure in a row: ``first``, doubled up to ``most``."""
    return first if wait_seconds == 0.0 else min(wait_seconds * 2, most)
