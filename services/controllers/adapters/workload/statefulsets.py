"""StatefulSets, their pods, claims and revisions, and the writes to them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import msgspec

from pilothouse.services.controllers.adapters import indexes, ownership, wiring
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.workload.revisions import Owner, Revisions
from pilothouse.services.controllers.adapters.world import (
    Controller,
    World,
    controller,
    reference,
)
from pilothouse.services.controllers.workload.stateful import claims, steps
from pilothouse.services.controllers.workload.stateful.claims import ClaimBirth, Ownership
from pilothouse.services.controllers.workload.stateful.history import Birth
from pilothouse.services.controllers.workload.statefulset import (
    Observed,
    Plan,
    StatefulSetController,
)
from pilothouse.services.machinery import errors, labels
from pilothouse.services.machinery.adoption import Claim
from pilothouse.services.machinery.errors import AlreadyExists, ApiError
from pilothouse.services.machinery.kinds import revisions, statefulsets, volumes
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.statefulsets import StatefulSet, StatefulSetStatus
from pilothouse.services.machinery.objects import Key, owner_reference
from pilothouse.services.machinery.resources import (
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    STATEFUL_SETS,
)
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.control import batches
from pilothouse.services.runtime.control.queue import WorkQueue
from pilothouse.services.runtime.control.settled import Settled
from pilothouse.services.runtime.exposition import Family


class StatefulSets:
    """What the StatefulSet controller asks for."""

    def __init__(self, world: World, found: Cache[Pod], queue: WorkQueue[Key]) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._sets = world.cache(STATEFUL_SETS, StatefulSet)
        self._pods = found
        self._claims = world.cache(PERSISTENT_VOLUME_CLAIMS, volumes.Claim)
        self._revisions = Revisions(world, STATEFUL_SETS, revisions.HASH)
        self._revisions.tell(queue)
        self._settled = Settled(found)
        self._recorder = world.recorder("statefulset-controller")

    def find(self, key: Key) -> StatefulSet | None:
        stateful = self._sets.get(key)
        if stateful is None:
            self._settled.forget(key)
            self._revisions.forget(key)
        return stateful

    def observe(self, stateful: StatefulSet) -> Observed:
        namespace = stateful.metadata.namespace
        claimed: dict[str, volumes.Claim] = {}
        if stateful.spec.volume_claim_templates:
            claimed = {
                item.metadata.name: item
                for item in self._claims.by_index(indexes.NAMESPACE, namespace)
            }
        near = [
            *self._pods.by_index(indexes.CONTROLLER, stateful.metadata.uid),
            *self._pods.by_index(indexes.CONTROLLER, indexes.free(namespace)),
        ]
        return Observed(near, self._revisions.near(stateful.metadata), claimed)

    def now(self) -> float:
        return self._clock.now()

    def settled(self, key: Key) -> bool:
        return self._settled.is_settled(key) and self._revisions.settled(key)

    async def roll(self, stateful: StatefulSet, todo: Plan) -> ApiError | None:
        owner = Owner(stateful.metadata, stateful.spec.template, stateful.status.collision_count)
        await self._revisions.remember(owner, todo.history)
        await self._claim(stateful, todo.members)
        for pod in todo.rename:
            answer = await self._objects.patch(PODS, pod.metadata.key, _renamed(stateful, pod))
            self._settled.wrote(stateful.metadata.key, answer)
            self._say(stateful, "update", f"Pod {pod.metadata.name}")
        failure = await self._fill(stateful, todo)
        if errors.is_ending(failure):
            return None
        if failure is not None:
            return failure
        for ownership_ in todo.own:
            await self._own(stateful, ownership_)

        async def delete(pod: Pod) -> None:
            await self._delete(stateful, pod)

        failure = await batches.each(todo.delete, delete)
        if failure is None:
            await self._revisions.drop(todo.history)
        return failure

    async def write_status(self, stateful: StatefulSet, status: StatefulSetStatus) -> None:
        patch = {"metadata": {"uid": stateful.metadata.uid}, "status": _render(status)}
        key = stateful.metadata.key
        await self._objects.patch(STATEFUL_SETS, key, patch, subresource="status")

    async def _claim(self, stateful: StatefulSet, members: Claim[Pod]) -> None:
        owner = stateful.metadata
        for pod in members.adopt:
            answer = await ownership.adopt(self._objects, PODS, pod.metadata, STATEFUL_SETS, owner)
            self._settled.wrote(owner.key, answer)
        for pod in members.release:
            answer = await ownership.release(self._objects, PODS, pod.metadata, owner)
            self._settled.wrote(owner.key, answer)

    async def _fill(self, stateful: StatefulSet, todo: Plan) -> ApiError | None:
        """Claims first, then their pods."""

        async def claim(birth: ClaimBirth) -> None:
            await self._create_claim(stateful, birth)

        failure = await batches.each(todo.claim, claim)
        if failure is not None:
            return failure
        left = iter(todo.create)

        async def create() -> None:
            await self._create(stateful, next(left))

        return await batches.slow_start(len(todo.create), create)

    async def _create(self, stateful: StatefulSet, birth: Birth) -> None:
        key = stateful.metadata.key
        name = statefulsets.pod_name(stateful, birth.ordinal)
        try:
            answer = await self._objects.create(PODS, key.namespace, _body(stateful, birth))
        except ApiError as error:
            if not (isinstance(error, AlreadyExists) or errors.is_ending(error)):
                self._say(stateful, "create", f"Pod {name}", error)
            raise
        self._settled.wrote(key, answer)
        self._say(stateful, "create", f"Pod {name}")

    async def _create_claim(self, stateful: StatefulSet, birth: ClaimBirth) -> None:
        namespace = stateful.metadata.namespace
        pod = statefulsets.pod_name(stateful, birth.ordinal)
        try:
            body = _claim_body(stateful, birth)
            await self._objects.create(PERSISTENT_VOLUME_CLAIMS, namespace, body)
        except AlreadyExists:
            return
        except ApiError as error:
            self._say(stateful, "create", f"Claim {birth.name} for Pod {pod}", error)
            raise
        self._say(stateful, "create", f"Claim {birth.name} Pod {pod}", ending="success")

    async def _own(self, stateful: StatefulSet, change: Ownership) -> None:
        metadata = change.claim.metadata
        if claims.is_controlled_by_another(stateful, change):
            told = f"PersistentVolumeClaim {metadata.name} has another controller: it is kept"
            about = reference(STATEFUL_SETS, stateful.metadata)
            self._recorder.note(about, "Warning", "ConflictingController", told)
        owners: Any = msgspec.to_builtins(change.owners)
        patch = {
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
            "ownerReferences": owners or None,
        }
        await self._objects.patch(PERSISTENT_VOLUME_CLAIMS, metadata.key, {"metadata": patch})

    async def _delete(self, stateful: StatefulSet, pod: Pod) -> None:
        try:
            if not await remove(self._objects, PODS, pod.metadata):
                return
        except ApiError as error:
            self._say(stateful, "delete", f"Pod {pod.metadata.name}", error)
            raise
        self._settled.deleted(stateful.metadata.key, pod.metadata)
        self._say(stateful, "delete", f"Pod {pod.metadata.name}")

    def _say(
        self,
        stateful: StatefulSet,
        verb: str,
        what: str,
        error: ApiError | None = None,
        ending: str = "successful",
    ) -> None:
        about = reference(STATEFUL_SETS, stateful.metadata)
        told = f"{verb} {what} in StatefulSet {stateful.metadata.name}"
        if error is None:
            reason = f"Successful{verb.title()}"
            self._recorder.note(about, "Normal", reason, f"{told} {ending}")
        else:
            reason = f"Failed{verb.title()}"
            self._recorder.note(about, "Warning", reason, f"{told} failed error: {error.message}")


def _renamed(stateful: StatefulSet, pod: Pod) -> dict[str, Any]:
    ordinal = statefulsets.ordinal_of(stateful, pod.metadata.name)
    said = {statefulsets.POD_NAME: pod.metadata.name, statefulsets.POD_INDEX: str(ordinal)}
    return {"metadata": {"uid": pod.metadata.uid, "labels": said}}


def _body(stateful: StatefulSet, birth: Birth) -> dict[str, Any]:
    template: dict[str, Any] = msgspec.json.decode(birth.template)
    told = template.get("metadata") or {}
    name = statefulsets.pod_name(stateful, birth.ordinal)
    metadata: dict[str, Any] = {
        "name": name,
        "generateName": f"{stateful.metadata.name}-",
        "namespace": stateful.metadata.namespace,
        "labels": {
            **(told.get("labels") or {}),
            revisions.POD_HASH: birth.revision,
            statefulsets.POD_NAME: name,
            statefulsets.POD_INDEX: str(birth.ordinal),
        },
        "ownerReferences": [owner_reference(STATEFUL_SETS, stateful.metadata)],
    }
    metadata |= {key: told[key] for key in ("annotations", "finalizers") if told.get(key)}
    spec: dict[str, Any] = {**(template.get("spec") or {}), "hostname": name}
    if stateful.spec.service_name:
        spec["subdomain"] = stateful.spec.service_name
    claimed = claims.names(stateful, birth.ordinal)
    if claimed:
        others = [item for item in spec.get("volumes") or () if item["name"] not in claimed]
        own = [
            {"name": volume, "persistentVolumeClaim": {"claimName": claim}}
            for volume, claim in claimed.items()
        ]
        spec["volumes"] = [*own, *others]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _claim_body(stateful: StatefulSet, birth: ClaimBirth) -> dict[str, Any]:
    template: dict[str, Any] = msgspec.json.decode(birth.template)
    told = template.get("metadata") or {}
    selector = stateful.spec.selector or labels.LabelSelector()
    metadata: dict[str, Any] = {
        "name": birth.name,
        "namespace": stateful.metadata.namespace,
        "labels": {**(told.get("labels") or {}), **selector.match_labels},
    }
    metadata |= {key: told[key] for key in ("annotations", "finalizers") if told.get(key)}
    if birth.owners:
        metadata["ownerReferences"] = msgspec.to_builtins(birth.owners)
    spec = template.get("spec") or {}
    kind = PERSISTENT_VOLUME_CLAIMS.kind
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec}


def _render(status: StatefulSetStatus) -> dict[str, Any]:
    """As the API spells it; a zero is null, so that it goes from the object as upstream's does."""
    return {
        "replicas": status.replicas,
        "availableReplicas": status.available_replicas,
        "readyReplicas": status.ready_replicas or None,
        "currentReplicas": status.current_replicas or None,
        "updatedReplicas": status.updated_replicas or None,
        "currentRevision": status.current_revision or None,
        "updateRevision": status.update_revision or None,
        "observedGeneration": status.observed_generation or None,
        "collisionCount": status.collision_count,
    }


def _selector_of(stateful: StatefulSet) -> labels.Selector | None:
    return labels.compile_selector(stateful.spec.selector)


def statefulset(world: World) -> Controller:
    """The StatefulSet controller, wired: it hears of sets, of their pods, and of lost claims."""
    sets = world.cache(STATEFUL_SETS, StatefulSet)
    found = world.cache(PODS, Pod)
    claimed = world.cache(PERSISTENT_VOLUME_CLAIMS, volumes.Claim)
    indexes.add_controller(found)
    indexes.add_namespace(sets)
    indexes.add_namespace(claimed)
    queue: WorkQueue[Key] = WorkQueue()

    def claim_changed(old: volumes.Claim | None, new: volumes.Claim | None) -> None:
        item = new if new is not None else old
        if item is None or (old is not None and new is not None):
            return
        for stateful in sets.by_index(indexes.NAMESPACE, item.metadata.namespace):
            if stateful.spec.volume_claim_templates:
                queue.add(stateful.metadata.key)

    sets.on_change(wiring.itself(queue))
    found.on_change(wiring.its_controller(queue, STATEFUL_SETS))
    found.on_change(wiring.its_takers(queue, sets, _selector_of))
    claimed.on_change(claim_changed)
    made = controller(StatefulSetController(StatefulSets(world, found, queue)), queue, sets)
    return replace(made, measured=lambda: families(sets.values()))


def families(sets: Iterable[StatefulSet]) -> Iterator[Family]:
    """Upstream's ``statefulset_controller_*``, told when asked for."""
    head = "statefulset_controller_statefulset_"
    most = Family(f"{head}max_unavailable", "gauge", "Pods that may be away during an update.")
    away = Family(f"{head}unavailable_replicas", "gauge", "Pods that are not available.")
    for stateful in sets:
        labels = (
            ("pod_management_policy", stateful.spec.pod_management_policy),
            ("statefulset_name", stateful.metadata.name),
            ("statefulset_namespace", stateful.metadata.namespace),
        )
        most.add(steps.max_unavailable(stateful), *labels)
        missing = stateful.spec.replicas - stateful.status.available_replicas
        away.add(max(missing, 0), *labels)
    return iter((most, away))
