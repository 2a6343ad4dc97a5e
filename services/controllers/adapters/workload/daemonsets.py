"""DaemonSets, the nodes, their pods and revisions, and the writes to them."""

from typing import Any

import msgspec

from pilothouse.services.controllers.adapters import indexes, ownership, wiring
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.workload.doubts import Doubts
from pilothouse.services.controllers.adapters.workload.revisions import Owner, Revisions
from pilothouse.services.controllers.adapters.world import (
    Controller,
    World,
    controller,
    reference,
)
from pilothouse.services.controllers.workload.daemonset import (
    DaemonSetController,
    Observed,
    Plan,
)
from pilothouse.services.machinery import errors, labels
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.kinds import affinity, daemonsets
from pilothouse.services.machinery.kinds.daemonsets import DaemonSet, DaemonSetStatus
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.revisions import POD_HASH
from pilothouse.services.machinery.objects import Key, owner_reference
from pilothouse.services.machinery.resources import DAEMON_SETS, NODES, PODS
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.control import batches
from pilothouse.services.runtime.control.queue import WorkQueue
from pilothouse.services.runtime.control.settled import Settled


class DaemonSets:
    """What the DaemonSet controller asks for."""

    def __init__(self, world: World, found: Cache[Pod], queue: WorkQueue[Key]) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._sets = world.cache(DAEMON_SETS, DaemonSet)
        self._nodes = world.cache(NODES, Node)
        self._pods = found
        self._revisions = Revisions(world, DAEMON_SETS, POD_HASH)
        self._revisions.tell(queue)
        self._settled = Settled(found)
        self._doubts = Doubts(world, self._settled, found)
        self._recorder = world.recorder("daemonset-controller")

    def find(self, key: Key) -> DaemonSet | None:
        daemonset = self._sets.get(key)
        if daemonset is None:
            self._settled.forget(key)
            self._revisions.forget(key)
        return daemonset

    def observe(self, daemonset: DaemonSet) -> Observed:
        metadata = daemonset.metadata
        near = [
            *self._pods.by_index(indexes.CONTROLLER, metadata.uid),
            *self._pods.by_index(indexes.CONTROLLER, indexes.free(metadata.namespace)),
        ]
        return Observed(self._nodes.values(), near, self._revisions.near(metadata))

    def now(self) -> float:
        return self._clock.now()

    def settled(self, key: Key) -> bool:
        return self._settled.is_settled(key) and self._revisions.settled(key)

    async def roll(self, daemonset: DaemonSet, todo: Plan) -> ApiError | None:
        metadata = daemonset.metadata
        owner = Owner(metadata, daemonset.spec.template, daemonset.status.collision_count)
        await self._revisions.remember(owner, todo.history)
        for pod in todo.members.adopt:
            answer = await ownership.adopt(self._objects, PODS, pod.metadata, DAEMON_SETS, metadata)
            self._settled.wrote(metadata.key, answer)
        for pod in todo.members.release:
            answer = await ownership.release(self._objects, PODS, pod.metadata, metadata)
            self._settled.wrote(metadata.key, answer)
        for pod in todo.remark:
            marked = {"uid": pod.metadata.uid, "labels": {POD_HASH: todo.mark}}
            answer = await self._objects.patch(PODS, pod.metadata.key, {"metadata": marked})
            self._settled.wrote(metadata.key, answer)
        async with self._doubts.settling(metadata):
            refusals = [await self._create(daemonset, todo), await self._delete(daemonset, todo)]
        failure = next((item for item in refusals if item is not None), None)
        if failure is None:
            await self._revisions.drop(todo.history)
        return failure

    async def write_status(self, daemonset: DaemonSet, status: DaemonSetStatus) -> None:
        patch = {"metadata": {"uid": daemonset.metadata.uid}, "status": _render(status)}
        key = daemonset.metadata.key
        await self._objects.patch(DAEMON_SETS, key, patch, subresource="status")

    async def _create(self, daemonset: DaemonSet, todo: Plan) -> ApiError | None:
        left = iter(todo.step.create)
        key = daemonset.metadata.key

        async def create() -> None:
            body = pod_body(daemonset, next(left), todo.mark)
            with self._doubts.noting(key):
                answer = await self._objects.create(PODS, key.namespace, body)
            made = self._settled.wrote(key, answer)
            self._say(daemonset, "Normal", "SuccessfulCreate", f"Created pod: {made.name}")

        failure = await batches.slow_start(len(todo.step.create), create)
        if errors.is_ending(failure):
            return None
        if failure is not None:
            told = f"Error creating: {failure.message}"
            self._say(daemonset, "Warning", "FailedCreate", told)
        return failure

    async def _delete(self, daemonset: DaemonSet, todo: Plan) -> ApiError | None:
        key = daemonset.metadata.key
        for node, pod in todo.step.ended:
            what = f"daemon pod {pod.metadata.key} on node {node}"
            if pod.status.phase == "Failed":
                told = f"Found failed {what}, will try to kill it"
                self._say(daemonset, "Warning", "FailedDaemonPod", told)
            else:
                told = f"Found succeeded {what}, will try to delete it"
                self._say(daemonset, "Normal", "SucceededDaemonPod", told)

        async def delete(pod: Pod) -> None:
            with self._doubts.noting(key):
                try:
                    if not await remove(self._objects, PODS, pod.metadata):
                        return
                except ApiError as error:
                    told = f"Error deleting: {error.message}"
                    self._say(daemonset, "Warning", "FailedDelete", told)
                    raise
            self._settled.deleted(key, pod.metadata)
            told = f"Deleted pod: {pod.metadata.name}"
            self._say(daemonset, "Normal", "SuccessfulDelete", told)

        return await batches.each(todo.step.delete, delete)

    def _say(self, daemonset: DaemonSet, type_: str, reason: str, message: str) -> None:
        about = reference(DAEMON_SETS, daemonset.metadata)
        self._recorder.note(about, type_, reason, message)


def pod_body(daemonset: DaemonSet, node: str, mark: str) -> dict[str, Any]:
    """The pod for ``node``: bound to it by affinity, so that the scheduler still has its say."""
    template: dict[str, Any] = msgspec.json.decode(daemonset.spec.template)
    told = template.get("metadata") or {}
    marks = {POD_HASH: mark}
    generation = daemonset.metadata.annotations.get(daemonsets.GENERATION)
    if generation is not None:
        marks[daemonsets.POD_GENERATION] = generation
    metadata: dict[str, Any] = {
        "generateName": f"{daemonset.metadata.name}-",
        "namespace": daemonset.metadata.namespace,
        "labels": {**(told.get("labels") or {}), **marks},
        "ownerReferences": [owner_reference(DAEMON_SETS, daemonset.metadata)],
    }
    metadata |= {key: told[key] for key in ("annotations", "finalizers") if told.get(key)}
    spec: dict[str, Any] = dict(template.get("spec") or {})
    spec["affinity"] = _bound(spec.get("affinity") or {}, node)
    spec["tolerations"] = _tolerating(
        spec.get("tolerations") or [], host_network=bool(spec.get("hostNetwork"))
    )
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _bound(told: dict[str, Any], node: str) -> dict[str, Any]:
    """What the template requires of nodes is met by this one already, so its name alone stays."""
    named = {"key": affinity.NAME_FIELD, "operator": "In", "values": [node]}
    required = {"nodeSelectorTerms": [{"matchFields": [named]}]}
    of_node = {
        **(told.get("nodeAffinity") or {}),
        "requiredDuringSchedulingIgnoredDuringExecution": required,
    }
    return {**told, "nodeAffinity": of_node}


def _tolerating(told: list[dict[str, Any]], *, host_network: bool) -> list[dict[str, Any]]:
    ours: list[dict[str, Any]] = [
        {"key": item.key, "operator": item.operator, "effect": item.effect}
        for item in daemonsets.tolerations(host_network=host_network)
    ]
    same = [
        item
        for item in told
        if any({**item, "tolerationSeconds": None} == {**mine, "tolerationSeconds": None}
               for mine in ours)
    ]  # fmt: skip
    return [*(item for item in told if item not in same), *ours]


def _render(status: DaemonSetStatus) -> dict[str, Any]:
    """As the API spells it; a zero is null, so that it goes from the object as upstream's does."""
    return {
        "currentNumberScheduled": status.current_number_scheduled,
        "numberMisscheduled": status.number_misscheduled,
        "desiredNumberScheduled": status.desired_number_scheduled,
        "numberReady": status.number_ready,
        "updatedNumberScheduled": status.updated_number_scheduled or None,
        "numberAvailable": status.number_available or None,
        "numberUnavailable": status.number_unavailable or None,
        "observedGeneration": status.observed_generation or None,
    }


def _selector_of(daemonset: DaemonSet) -> labels.Selector | None:
    return labels.compile_selector(daemonset.spec.selector)


def daemonset(world: World) -> Controller:
    """The DaemonSet controller, wired: it hears of sets, of their pods, and of changed nodes."""
    sets = world.cache(DAEMON_SETS, DaemonSet)
    found = world.cache(PODS, Pod)
    indexes.add_controller(found)
    indexes.add_namespace(sets)
    queue: WorkQueue[Key] = WorkQueue()

    def node_changed(old: Node | None, new: Node | None) -> None:
        if old is not None and new is not None:
            before = (old.metadata.labels, old.spec.taints)
            if before == (new.metadata.labels, new.spec.taints):
                return
        for item in sets.values():
            queue.add(item.metadata.key)

    sets.on_change(wiring.itself(queue))
    found.on_change(wiring.its_controller(queue, DAEMON_SETS))
    found.on_change(wiring.its_takers(queue, sets, _selector_of))
    world.cache(NODES, Node).on_change(node_changed)
    return controller(DaemonSetController(DaemonSets(world, found, queue)), queue, sets)
