"""ReplicaSets and ReplicationControllers, their pods, and the writes to both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pilothouse.services.controllers.adapters import indexes, ownership, wiring
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.workload.doubts import Doubts
from pilothouse.services.controllers.adapters.world import (
    Controller,
    World,
    controller,
    reference,
)
from pilothouse.services.controllers.workload.replicaset import ReplicaSetController
from pilothouse.services.controllers.workload.replicationcontroller import (
    ReplicationControllerController,
)
from pilothouse.services.machinery import conditions, errors, labels
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.replicas import Plan
from pilothouse.services.machinery.kinds.workloads import (
    ReplicaSet,
    ReplicaStatus,
    ReplicationController,
)
from pilothouse.services.machinery.labels import Selector
from pilothouse.services.machinery.objects import Key, Metadata, controller_of, owner_reference
from pilothouse.services.machinery.resources import (
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    Resource,
)
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.control import batches
from pilothouse.services.runtime.control.queue import WorkQueue
from pilothouse.services.runtime.control.settled import Settled

R = TypeVar("R", bound=ReplicaSet | ReplicationController)


@dataclass(frozen=True, slots=True)
class _Kind:
    resource: Resource
    component: str


REPLICA_SET = _Kind(REPLICA_SETS, "replicaset-controller")
REPLICATION_CONTROLLER = _Kind(REPLICATION_CONTROLLERS, "replication-controller")


class Replicas(Generic[R]):
    """One of the two kinds with its pods, as both controllers see it."""

    def __init__(self, world: World, kind: _Kind, owners: Cache[R], found: Cache[Pod]) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._kind = kind.resource
        self._owners = owners
        self._pods = found
        self._settled = Settled(found)
        self._doubts = Doubts(world, self._settled, found)
        self._recorder = world.recorder(kind.component)

    def find(self, key: Key) -> R | None:
        owner = self._owners.get(key)
        if owner is None:
            self._settled.forget(key)
        return owner

    def pods_near(self, owner: R) -> tuple[Sequence[Pod], Sequence[Pod]]:
        """Its own and those that nobody controls; those beside it if some of its own must go."""
        own = self._pods.by_index(indexes.CONTROLLER, owner.metadata.uid)
        free = self._pods.by_index(indexes.CONTROLLER, indexes.free(owner.metadata.namespace))
        crowded = len(own) + len(free) > owner.spec.replicas
        return [*own, *free], self._beside(owner.metadata) if crowded else ()

    def _beside(self, owner: Metadata) -> Sequence[Pod]:
        above = controller_of(owner)
        siblings = self._owners.by_index(indexes.CONTROLLER, above.uid) if above is not None else ()
        return [
            pod
            for item in siblings
            if item.metadata.uid != owner.uid
            for pod in self._pods.by_index(indexes.CONTROLLER, item.metadata.uid)
        ]

    def now(self) -> float:
        return self._clock.now()

    def settled(self, key: Key) -> bool:
        return self._settled.is_settled(key)

    async def claim(self, owner: R, todo: Plan) -> None:
        key = owner.metadata.key
        for pod in todo.adopt:
            answer = await ownership.adopt(
                self._objects, PODS, pod.metadata, self._kind, owner.metadata
            )
            self._settled.wrote(key, answer)
        for pod in todo.release:
            answer = await ownership.release(self._objects, PODS, pod.metadata, owner.metadata)
            self._settled.wrote(key, answer)

    async def scale(self, owner: R, todo: Plan) -> ApiError | None:
        async def create() -> None:
            await self._create(owner)

        async def delete(pod: Pod) -> None:
            await self._delete(owner, pod)

        async with self._doubts.settling(owner.metadata):
            if not todo.create:
                return await batches.each(todo.delete, delete)
            failure = await batches.slow_start(todo.create, create)
            if errors.is_ending(failure):
                return None
            if failure is not None:
                self._say(owner, "Warning", "FailedCreate", f"Error creating: {failure.message}")
            return failure

    async def write_status(self, owner: R, status: ReplicaStatus) -> None:
        patch = {"metadata": {"uid": owner.metadata.uid}, "status": render_status(status)}
        await self._objects.patch(self._kind, owner.metadata.key, patch, subresource="status")

    async def _create(self, owner: R) -> None:
        with self._doubts.noting(owner.metadata.key):
            answer = await self._objects.create(PODS, owner.metadata.namespace, self._body(owner))
        made = self._settled.wrote(owner.metadata.key, answer)
        self._say(owner, "Normal", "SuccessfulCreate", f"Created pod: {made.name}")

    async def _delete(self, owner: R, pod: Pod) -> None:
        with self._doubts.noting(owner.metadata.key):
            try:
                if not await remove(self._objects, PODS, pod.metadata):
                    return
            except ApiError as error:
                self._say(owner, "Warning", "FailedDelete", f"Error deleting: {error.message}")
                raise
        self._settled.deleted(owner.metadata.key, pod.metadata)
        self._say(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.metadata.name}")

    def _body(self, owner: R) -> dict[str, Any]:
        template = owner.spec.template
        metadata: dict[str, Any] = {
            "generateName": f"{owner.metadata.name}-",
            "namespace": owner.metadata.namespace,
            "labels": template.metadata.labels,
            "ownerReferences": [owner_reference(self._kind, owner.metadata)],
        }
        if template.metadata.annotations:
            metadata["annotations"] = template.metadata.annotations
        if template.metadata.finalizers:
            metadata["finalizers"] = template.metadata.finalizers
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template.spec}

    def _say(self, owner: R, type_: str, reason: str, message: str) -> None:
        self._recorder.note(reference(self._kind, owner.metadata), type_, reason, message)


def render_status(status: ReplicaStatus) -> dict[str, Any]:
    """As the API spells it; a zero is null, so that it goes from the object as upstream's does."""
    return {
        "replicas": status.replicas,
        "fullyLabeledReplicas": status.fully_labeled_replicas or None,
        "readyReplicas": status.ready_replicas or None,
        "availableReplicas": status.available_replicas or None,
        "terminatingReplicas": status.terminating_replicas,
        "observedGeneration": status.observed_generation or None,
        "conditions": [conditions.rendered(item) for item in status.conditions] or None,
    }


def replicaset(world: World) -> Controller:
    """The ReplicaSet controller, wired."""
    owners = world.cache(REPLICA_SETS, ReplicaSet)
    found, queue = _wired(world, REPLICA_SETS, owners)
    cluster = Replicas(world, REPLICA_SET, owners, found)
    return controller(ReplicaSetController(cluster), queue, owners)


def replicationcontroller(world: World) -> Controller:
    """The ReplicationController controller, wired."""
    owners = world.cache(REPLICATION_CONTROLLERS, ReplicationController)
    found, queue = _wired(world, REPLICATION_CONTROLLERS, owners)
    cluster = Replicas(world, REPLICATION_CONTROLLER, owners, found)
    return controller(ReplicationControllerController(cluster), queue, owners)


def _wired(world: World, kind: Resource, owners: Cache[R]) -> tuple[Cache[Pod], WorkQueue[Key]]:
    """The pods' cache, and a queue that hears of owners, of their pods, and of free pods."""
    found = world.cache(PODS, Pod)
    indexes.add_controller(found)
    indexes.add_namespace(owners)
    indexes.add_controller(owners)
    queue: WorkQueue[Key] = WorkQueue()
    owners.on_change(wiring.itself(queue))
    found.on_change(wiring.its_controller(queue, kind))
    found.on_change(wiring.its_takers(queue, owners, selector_of))
    return found, queue


def selector_of(owner: ReplicaSet | ReplicationController) -> Selector | None:
    """Which pods it wants, compiled."""
    if isinstance(owner, ReplicaSet):
        return labels.compile_selector(owner.spec.selector)
    return labels.compile_map(owner.spec.selector)
