"""Sets whose pods have places: one of an index, one of a node, one Job of a CronJob at a time."""

from collections.abc import Iterator

from pilothouse.ops.simulation.state import (
    Document,
    Span,
    State,
    Step,
    controller,
    is_active,
    is_true,
)

INDEX = "batch.kubernetes.io/job-completion-index"
FORBID = "Forbid"


class Places:
    """Looked at when something is born into its place."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._surges: dict[str, Span] = {}
        self._alone: dict[str, Span] = {}

    def see(self, step: Step, now: float) -> Iterator[str]:
        """What this commit breaks."""
        if step.new is None:
            return
        uid = step.new["metadata"]["uid"]
        match step.plural:
            case "daemonsets":
                rolling = step.new["spec"]["updateStrategy"].get("rollingUpdate") or {}
                surges = rolling.get("maxSurge", 0) not in {0, "0%"}
                self._surges.setdefault(uid, Span()).put(now, int(surges))
            case "cronjobs":
                alone = step.new["spec"].get("concurrencyPolicy") == FORBID
                self._alone.setdefault(uid, Span()).put(now, int(alone))
            case "pods" if step.old is None:
                yield from self._pod(step.new, now)
            case "jobs" if step.old is None:
                yield from self._job(step.new, now)
            case _:
                pass

    def _pod(self, pod: Document, now: float) -> Iterator[str]:
        owner = controller(pod)
        if owner is None:
            return
        siblings = [item for item in self._state.owned("pods", owner["uid"]) if is_active(item)]
        if owner["kind"] == "DaemonSet" and owner["uid"] in self._surges:
            most = 1 + max(self._surges[owner["uid"]].recent(now))
            there = sum(1 for item in siblings if _node(item) == _node(pod))
            if there > most:
                yield f"DaemonSet {owner['name']} has {there} pods for {_node(pod)}, not {most}"
        index = pod["metadata"].get("annotations", {}).get(INDEX)
        if owner["kind"] == "Job" and index is not None:
            there = sum(1 for item in siblings if _index(item) == index)
            if there > 1:
                yield f"Job {owner['name']}: {there} pods run for index {index}"

    def _job(self, job: Document, now: float) -> Iterator[str]:
        owner = controller(job)
        if owner is None or owner["uid"] not in self._alone:
            return
        running = [
            item["metadata"]["name"]
            for item in self._state.owned("jobs", owner["uid"])
            if not is_true(item, "Complete") and not is_true(item, "Failed")
        ]
        if len(running) > 1 and min(self._alone[owner["uid"]].recent(now)):
            yield f"CronJob {owner['name']} runs {', '.join(running)} though it forbids two"


def _index(pod: Document) -> str | None:
    found: str | None = pod["metadata"].get("annotations", {}).get(INDEX)
    return found


def _node(pod: Document) -> str:
    """Where a daemon's pod is, or will be."""
    named = pod["spec"].get("nodeName")
    if named:
        return str(named)
    affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {})
    for term in required.get("nodeSelectorTerms", ()):
        for field in term.get("matchFields", ()):
            return str(field["values"][0])
    return ""
