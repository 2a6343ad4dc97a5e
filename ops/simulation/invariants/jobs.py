"""Jobs: they end once, count a pod once, and run no more side by side than they may."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pilothouse.ops.simulation.state import (
    Document,
    Span,
    State,
    Step,
    controller,
    is_active,
    is_true,
    phase,
)

ENDS = ("Complete", "Failed")


@dataclass(slots=True)
class _Job:
    parallelism: Span = field(default_factory=Span)
    pods: dict[str, None] = field(default_factory=dict)
    succeeded: dict[str, None] = field(default_factory=dict)
    end: str = ""


class Jobs:
    """By the Job's uid."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._jobs: dict[str, _Job] = {}

    def see(self, step: Step, now: float) -> Iterator[str]:
        """What this commit breaks."""
        if step.plural == "jobs" and step.new is not None:
            known = self._jobs.setdefault(step.new["metadata"]["uid"], _Job())
            spec = step.new["spec"]
            suspended = spec.get("suspend", False)
            known.parallelism.put(now, 0 if suspended else spec.get("parallelism", 1))
            for sentence in (*self._ends(known, step.new), *self._counts(known, step)):
                yield f"Job {step.key}: {sentence}"
        elif step.plural == "pods":
            yield from self._pod(step, now)

    def _ends(self, known: _Job, job: Document) -> Iterator[str]:
        ends = [kind for kind in ENDS if is_true(job, kind)]
        if len(ends) > 1:
            yield "it is complete and failed"
        end = ends[0] if ends else ""
        if known.end and end != known.end:
            yield f"it was {known.end} and is {end or 'running'} now"
        known.end = end

    def _counts(self, known: _Job, step: Step) -> Iterator[str]:
        status = step.document.get("status", {})
        before = (step.old or {}).get("status", {})
        for name in ("succeeded", "failed"):
            if name == "succeeded" and _indexes(step.document):
                continue
            if status.get(name, 0) < before.get(name, 0):
                yield f"{name} went from {before[name]} to {status.get(name, 0)}"
        succeeded, failed = status.get("succeeded", 0), status.get("failed", 0)
        if succeeded > len(known.succeeded):
            yield f"{succeeded} pods count as succeeded, {len(known.succeeded)} did"
        if succeeded + failed > len(known.pods):
            yield f"{succeeded + failed} pods are counted, {len(known.pods)} there were"
        completions = step.document["spec"].get("completions")
        if completions is not None and succeeded > completions:
            yield f"{succeeded} of {completions} are done"

    def _pod(self, step: Step, now: float) -> Iterator[str]:
        owner = controller(step.document)
        if owner is None or owner["kind"] != "Job":
            return
        known, uid = self._jobs.setdefault(owner["uid"], _Job()), step.document["metadata"]["uid"]
        known.pods[uid] = None
        if phase(step.document) == "Succeeded":
            known.succeeded[uid] = None
        if step.old is not None:
            return
        active = sum(map(is_active, self._state.owned("pods", owner["uid"])))
        most = max(known.parallelism.recent(now), default=0)
        if active > most:
            yield f"Job {owner['name']}: {active} pods run where {most} may"
        if known.end:
            yield f"Job {owner['name']}: a pod is made after it was {known.end}"


def _indexes(job: Document) -> bool:
    return bool(job["spec"].get("completionMode") == "Indexed")
