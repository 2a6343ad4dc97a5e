"""A plan in the making, and how a pod is left: who is asked to end before whom. Pure."""

from dataclasses import dataclass, field

from pilothouse.services.kubelet.pod.observed import Container, Known, Observed
from pilothouse.services.kubelet.pod.plans import Act, Plan, StopContainer, StopSandbox
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.conditions import Condition

WITHDRAW_SECONDS = 1.0
"""A ready pod is taken out of its Services for this long before it is asked to end, so that no
request meets a server that is already going."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """The pod must go, within this grace."""

    grace_seconds: float


@dataclass(slots=True)
class Draft:
    """A plan in the making."""

    pod: Pod
    observed: Observed
    known: Known
    now: float
    acts: list[Act] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    backing_off: list[Container] = field(default_factory=list)

    def plan(self) -> Plan:
        again_at = min(self.again, default=None)
        return Plan(tuple(self.acts), again_at, backing_off=tuple(self.backing_off))

    def may(self, what: str) -> bool:
        """Whether ``what`` is not waiting after a failure; asks for another look if it is."""
        trouble = self.known.troubles.get(what)
        if trouble is not None and self.now < trouble.until:
            self.again.append(trouble.until)
            return False
        return True

    def stop(
        self,
        container: Container,
        message: str,
        grace: float,
        delay_seconds: float = 0.0,
        after: tuple[str, ...] = (),
    ) -> None:
        """Stop unless it is being stopped already, no later than that."""
        kill_at = self.known.stopping.get(container.id)
        if kill_at is None or self.now + grace + 1.0 < kill_at:
            delay = 0.0 if kill_at is not None else min(delay_seconds, grace / 2)
            act = StopContainer(container.id, container.name, message, grace, delay, after)
            self.acts.append(act)


def rest(draft: Draft, grace: float) -> None:
    """Stop what runs within one grace for all, then give the address back.

    Everybody's preStop hook starts at once; a sidecar is asked to end after the containers, and
    after the sidecars that started later than itself.
    """
    pod, alive = draft.pod, draft.observed.alive()
    sidecars = [spec.name for spec in pod.spec.init_containers if spec.is_sidecar]
    mains = {spec.name for spec in pod.spec.containers}
    delay = WITHDRAW_SECONDS if _is_served(pod) else 0.0
    for container in alive:
        before: set[str] = set()
        if container.name in sidecars:
            later = sidecars[sidecars.index(container.name) + 1 :]
            before = mains | set(later)
        after = tuple(item.id for item in alive if item.name in before)
        draft.stop(container, f"Stopping container {container.name}", grace, delay, after)
    if not alive:
        draft.acts.extend(StopSandbox(item.id) for item in draft.observed.sandboxes if item.ready)


def _is_served(pod: Pod) -> bool:
    recorded = [
        Condition(type=item.get("type", ""), status=item.get("status", ""))
        for item in pod.status.get("conditions") or ()
    ]
    return conditions.is_true(recorded, "Ready")
