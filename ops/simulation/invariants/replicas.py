"""ReplicaSets and Deployments: never more than surge allows, never fewer by their own doing."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pilothouse.ops.simulation.state import (
    MEMORY_SECONDS,
    Document,
    Span,
    State,
    Step,
    controller,
    is_active,
    is_deleting,
    is_ready,
    is_true,
)
from pilothouse.services.machinery.objects import Key

CONTROLLERS = "controllers"
_KEEPERS = frozenset({"ReplicaSet", "ReplicationController"})
_DRIVEN = "DisruptionTarget"


def scaled(told: int | str, whole: int, rounded: Callable[[float], int]) -> int:
    """A number, or a percentage of ``whole``."""
    if isinstance(told, int):
        return told
    return rounded(int(told.removesuffix("%")) * whole / 100)


@dataclass(slots=True)
class _Limits:
    most: Span = field(default_factory=Span)
    least: Span = field(default_factory=Span)


class Replicas:
    """``deleters`` names who asked last for the deletion of a pod."""

    def __init__(self, state: State, deleters: dict[Key, str]) -> None:
        self._state = state
        self._deleters = deleters
        self._wanted: dict[str, Span] = {}
        self._limits: dict[str, _Limits] = {}
        self._ready_since: dict[str, float] = {}
        self._lost: dict[str, list[float]] = {}

    def see(self, step: Step, now: float) -> Iterator[str]:
        """What this commit breaks."""
        match step.plural:
            case "deployments":
                self._deployment(step.document, now)
            case "replicasets" | "replicationcontrollers":
                yield from self._replicaset(step, now)
            case "pods":
                yield from self._pod(step, now)
            case _:
                pass

    def _deployment(self, deployment: Document, now: float) -> None:
        spec = deployment["spec"]
        limits = self._limits.setdefault(deployment["metadata"]["uid"], _Limits())
        replicas, rolling = spec["replicas"], spec["strategy"].get("rollingUpdate")
        surge = scaled(rolling["maxSurge"], replicas, math.ceil) if rolling else 0
        limits.most.put(now, replicas + surge)
        away = scaled(rolling["maxUnavailable"], replicas, math.floor) if rolling else replicas
        if not surge and not away:
            away = 1  # else nothing could move
        limits.least.put(now, replicas - away)

    def _replicaset(self, step: Step, now: float) -> Iterator[str]:
        if step.new is None:
            return
        wanted = step.new["spec"]["replicas"]
        self._wanted.setdefault(step.new["metadata"]["uid"], Span()).put(now, wanted)
        before = step.old["spec"]["replicas"] if step.old is not None else 0
        owner = controller(step.new)
        limits = self._limits.get(owner["uid"]) if owner is not None else None
        if limits is None or owner is None or wanted <= before:
            return
        owned = self._state.owned("replicasets", owner["uid"])
        total = sum(item["spec"]["replicas"] for item in owned if not is_deleting(item))
        most = max(limits.most.recent(now))
        if total > most:
            yield f"Deployment {owner['name']} asks for {total} pods where {most} are allowed"

    def _pod(self, step: Step, now: float) -> Iterator[str]:
        pod = step.document
        owner = controller(pod)
        if owner is None or owner["kind"] not in _KEEPERS:
            return
        if step.old is None:
            yield from self._born(owner, now)
        uid = pod["metadata"]["uid"]
        was_ready = uid in self._ready_since
        if step.new is not None and is_ready(step.new):
            self._ready_since.setdefault(uid, now)
            return
        since = self._ready_since.pop(uid, now)
        if not was_ready:
            return
        above = self._above(pod, owner)
        if not self._is_chosen(step) or not self._deleters.get(step.key, "").startswith(
            CONTROLLERS
        ):
            self._lost.setdefault(above, []).append(now)
        elif now - since > MEMORY_SECONDS:
            yield from self._taken(above, step.key, now)

    def _is_chosen(self, step: Step) -> bool:
        """Whether somebody asked for just this pod to go.

        Who drives pods away (a taint, a node that died, an eviction) marks them so, and with its
        namespace a pod goes whoever counts on it.
        """
        if step.new is None or not is_deleting(step.new) or is_true(step.new, _DRIVEN):
            return False
        namespace = self._state.get("namespaces", Key("", step.key.namespace))
        return namespace is not None and not is_deleting(namespace)

    def _born(self, owner: Document, now: float) -> Iterator[str]:
        wanted = self._wanted.get(owner["uid"])
        if wanted is None:
            return
        active = sum(map(is_active, self._state.owned("pods", owner["uid"])))
        most = max(wanted.recent(now))
        if active > most:
            yield f"{owner['kind']} {owner['name']} has {active} pods where {most} are wanted"

    def _above(self, pod: Document, owner: Document) -> str:
        replicaset = self._state.get(
            "replicasets", Key(pod["metadata"]["namespace"], owner["name"])
        )
        if replicaset is None or replicaset["metadata"]["uid"] != owner["uid"]:
            # Its own is gone, and with it whoever limited it; another may have the name.
            return ""
        above = controller(replicaset)
        return str(above["uid"]) if above is not None else ""

    def _taken(self, uid: str, key: Key, now: float) -> Iterator[str]:
        """A controller took a pod that had been ready for long."""
        limits = self._limits.get(uid)
        if limits is None:
            return
        ready = sum(
            1
            for replicaset in self._state.owned("replicasets", uid)
            for pod in self._state.owned("pods", replicaset["metadata"]["uid"])
            if is_ready(pod)
        )
        lost = sum(1 for at in self._lost.get(uid, ()) if now - at <= MEMORY_SECONDS)
        least = min(limits.least.recent(now))
        if ready + lost < least:
            yield f"{key} was taken: {ready} pods are ready where {least} must stay"
