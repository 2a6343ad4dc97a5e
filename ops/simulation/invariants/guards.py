"""Budgets and quotas hold; who lost the lease writes nothing."""

from collections.abc import Callable, Iterator
from typing import Any

from pilothouse.ops.simulation.state import Span, State, Step, is_ready
from pilothouse.ops.simulation.trace import parts_of
from pilothouse.services.machinery.objects import Key

LEASES = {
    "controllers": Key("kube-system", "kube-controller-manager"),
    "scheduler": Key("kube-system", "kube-scheduler"),
}
"""By the first word of those who stand for it."""
GUARDED = "guarded"
"""The label of pods that nothing takes but evictions; its value is how many must stay."""
BETWEEN_LEADERS = frozenset({"leases", "events"})


class Budgets:
    """While no node fails, evictions leave as many ready pods as the budget says."""

    def __init__(self, state: State, *, nodes_fail: bool) -> None:
        self._state = state
        self._nodes_fail = nodes_fail
        self._were_whole: dict[Key, None] = {}

    def see(self, step: Step, now: float) -> Iterator[str]:
        """What this commit breaks."""
        told = step.document["metadata"].get("labels", {}).get(GUARDED)
        if step.plural != "pods" or told is None or self._nodes_fail:
            return
        pods = [
            pod
            for key, pod in self._state.all("pods").items()
            if key.namespace == step.key.namespace
            and pod["metadata"].get("labels", {}).get(GUARDED) == told
        ]
        ready, place = sum(map(is_ready, pods)), Key(step.key.namespace, told)
        if ready >= int(told):
            self._were_whole[place] = None
        elif place in self._were_whole:
            yield f"{ready} guarded pods are ready in {place.namespace} where {told} must stay"


class Quotas:
    """What is used does not grow over what is allowed, or was when it was let in.

    A clock that is set back makes pods count again whose end was overdue: ``wall`` tells of it.
    """

    def __init__(self, wall: Callable[[], float] = lambda: 0.0) -> None:
        self._hard: dict[tuple[Key, str], Span] = {}
        self._wall = wall
        self._seen: dict[Key, float] = {}

    def see(self, step: Step, now: float) -> Iterator[str]:
        """What this commit breaks."""
        if step.plural != "resourcequotas" or step.new is None:
            return
        status, before = step.new.get("status", {}), (step.old or {}).get("status", {})
        wall = self._wall()
        set_back = wall < self._seen.get(step.key, wall)
        self._seen[step.key] = wall
        for name, hard in status.get("hard", {}).items():
            limits = self._hard.setdefault((step.key, name), Span())
            limits.put(now, int(hard))
            used = int(status.get("used", {}).get(name, "0"))
            most = max(limits.recent(now))
            if not set_back and used > most and used > int(before.get("used", {}).get(name, "0")):
                yield f"quota {step.key}: {used} {name} are used where {most} may be"


class Leadership:
    """Asked for each write as it leaves its caller."""

    def __init__(self, state: State) -> None:
        self._state = state

    def sent(self, caller: str, request: Any) -> Iterator[str]:
        """What it would break that ``caller`` writes this now."""
        named = LEASES.get(caller.partition("-")[0])
        for one in parts_of(request):
            if named is None or one.resource.resource in BETWEEN_LEADERS:
                continue
            lease = self._state.get("leases", named)
            holder = lease["spec"].get("holderIdentity", "") if lease is not None else ""
            if holder and not holder.startswith(caller):
                yield f"{caller} writes {one.resource.resource} {one.name} while {holder} leads"
