"""Deployments and their ReplicaSets, and the writes to both."""

from collections.abc import Awaitable, Sequence
from typing import Any

import msgspec

from pilothouse.services.controllers.adapters import indexes, ownership, wiring
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.workload.doubts import AGAIN_SECONDS, UNANSWERED
from pilothouse.services.controllers.adapters.world import (
    Controller,
    World,
    controller,
    reference,
)
from pilothouse.services.controllers.workload.deployment import DeploymentController, Plan
from pilothouse.services.controllers.workload.rollout import progress, revisions
from pilothouse.services.controllers.workload.rollout.changes import Birth, Change
from pilothouse.services.machinery import conditions, errors, labels
from pilothouse.services.machinery.adoption import Claim
from pilothouse.services.machinery.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    NotFound,
    ServiceUnavailable,
    Timeout,
)
from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.workloads import (
    REVISION,
    TEMPLATE_HASH,
    Deployment,
    DeploymentStatus,
    ReplicaSet,
)
from pilothouse.services.machinery.objects import Key, controller_of, owner_reference
from pilothouse.services.machinery.resources import DEPLOYMENTS, PODS, REPLICA_SETS
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.control.queue import WorkQueue
from pilothouse.services.runtime.control.settled import Settled

_REPLICASET = msgspec.json.Decoder(ReplicaSet)
_UNHEARD = (ServiceUnavailable, Timeout)


class Deployments:
    """What the Deployment controller asks for."""

    def __init__(
        self,
        world: World,
        deployments: Cache[Deployment],
        replicasets: Cache[ReplicaSet],
        found: Cache[Pod],
    ) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._deployments = deployments
        self._replicasets = replicasets
        self._pods = found
        self._settled = Settled(replicasets)
        self._recorder = world.recorder("deployment-controller")

    def find(self, key: Key) -> Deployment | None:
        deployment = self._deployments.get(key)
        if deployment is None:
            self._settled.forget(key)
        return deployment

    def replicasets_near(self, deployment: Deployment) -> Sequence[ReplicaSet]:
        free = indexes.free(deployment.metadata.namespace)
        return [
            *self._replicasets.by_index(indexes.CONTROLLER, deployment.metadata.uid),
            *self._replicasets.by_index(indexes.CONTROLLER, free),
        ]

    def running(self, deployment: Deployment) -> frozenset[str]:
        if deployment.spec.strategy.type != "Recreate":
            return frozenset()
        owned = self._replicasets.by_index(indexes.CONTROLLER, deployment.metadata.uid)
        return frozenset(
            item.metadata.uid
            for item in owned
            if any(
                not pods.is_terminal(pod)
                for pod in self._pods.by_index(indexes.CONTROLLER, item.metadata.uid)
            )
        )

    def now(self) -> float:
        return self._clock.now()

    def settled(self, key: Key) -> bool:
        return self._settled.is_settled(key)

    async def roll(self, deployment: Deployment, todo: Plan) -> ApiError | None:
        key = deployment.metadata.key
        await self._claim(deployment, todo.claim)
        failure = await self._create(deployment, todo.create) if todo.create is not None else None
        if failure is not None:
            return failure
        for change in todo.change:
            await self._change(deployment, change)
        for replicaset in todo.delete:
            await self._delete(key, replicaset)
        if todo.revision not in {"", deployment.metadata.annotations.get(REVISION)}:
            said = {"uid": deployment.metadata.uid, "annotations": {REVISION: todo.revision}}
            await self._objects.patch(DEPLOYMENTS, key, {"metadata": said})
        return None

    async def write_status(self, deployment: Deployment, status: DeploymentStatus) -> None:
        patch = {"metadata": {"uid": deployment.metadata.uid}, "status": _render(status)}
        key = deployment.metadata.key
        await self._objects.patch(DEPLOYMENTS, key, patch, subresource="status")

    async def _claim(self, deployment: Deployment, claim: Claim[ReplicaSet]) -> None:
        owner = deployment.metadata
        for item in claim.adopt:
            answer = await ownership.adopt(
                self._objects, REPLICA_SETS, item.metadata, DEPLOYMENTS, owner
            )
            self._settled.wrote(owner.key, answer)
        for item in claim.release:
            answer = await ownership.release(self._objects, REPLICA_SETS, item.metadata, owner)
            self._settled.wrote(owner.key, answer)

    async def _create(self, deployment: Deployment, birth: Birth) -> ApiError | None:
        key = deployment.metadata.key
        body = _body(deployment, birth)
        try:
            write = self._objects.create(REPLICA_SETS, key.namespace, body)
            answer = await self._answer(key, Key(key.namespace, birth.name), write)
        except AlreadyExists:
            await self._meet(deployment, Key(key.namespace, birth.name))
            return None
        except ApiError as error:
            if errors.is_ending(error) or isinstance(error, _UNHEARD):
                raise
            told = progress.refusal(birth.name, error.message)
            about = reference(DEPLOYMENTS, deployment.metadata)
            self._recorder.note(about, "Warning", progress.REFUSED, told)
            return error
        self._settled.wrote(key, answer)
        if birth.replicas:
            self._say(deployment, f"Scaled up replica set {birth.name} from 0 to {birth.replicas}")
        return None

    async def _meet(self, deployment: Deployment, key: Key) -> None:
        """The name is taken: by our own ReplicaSet, which is well, or by a stranger's."""
        answer = await self._objects.get(REPLICA_SETS, key)
        present = _REPLICASET.decode(answer)
        controller_ref = controller_of(present.metadata)
        wanted = revisions.fingerprint(deployment.spec.template)
        if (
            controller_ref is not None
            and controller_ref.uid == deployment.metadata.uid
            and revisions.fingerprint(present.spec.template) == wanted
        ):
            self._settled.wrote(deployment.metadata.key, answer)
            return
        collisions = (deployment.status.collision_count or 0) + 1
        patch = {
            "metadata": {"uid": deployment.metadata.uid},
            "status": {"collisionCount": collisions},
        }
        await self._objects.patch(DEPLOYMENTS, deployment.metadata.key, patch, subresource="status")
        raise AlreadyExists(f"ReplicaSet {key} is another's; the next try takes another name")

    async def _change(self, deployment: Deployment, change: Change) -> None:
        old = change.replicaset
        metadata = old.metadata
        patch: dict[str, Any] = {
            "metadata": {"uid": metadata.uid, "resourceVersion": metadata.resource_version},
            "spec": {
                "replicas": change.replicas,
                "minReadySeconds": change.min_ready_seconds,
            },
        }
        if change.annotations:
            patch["metadata"]["annotations"] = change.annotations
        write = self._objects.patch(REPLICA_SETS, metadata.key, patch)
        answer = await self._answer(deployment.metadata.key, metadata.key, write)
        self._settled.wrote(deployment.metadata.key, answer)
        if change.replicas != old.spec.replicas:
            way = "up" if change.replicas > old.spec.replicas else "down"
            sizes = f"from {old.spec.replicas} to {change.replicas}"
            self._say(deployment, f"Scaled {way} replica set {metadata.name} {sizes}")

    async def _answer(self, key: Key, replicaset: Key, write: Awaitable[str]) -> str:
        """Of a write for ``key``. Without one, too, the cache is waited for until it shows what is.

        The ReplicaSet may have its new size: who sized another by the old would go over the surge.
        """
        try:
            return await write
        except (Conflict, *UNANSWERED):
            await self._look(key, replicaset)
            raise

    async def _look(self, key: Key, replicaset: Key) -> None:
        while True:
            try:
                self._settled.wrote(key, await self._objects.get(REPLICA_SETS, replicaset))
            except NotFound:
                return
            except UNANSWERED:
                await self._clock.sleep(AGAIN_SECONDS)
            else:
                return

    async def _delete(self, key: Key, replicaset: ReplicaSet) -> None:
        if await remove(self._objects, REPLICA_SETS, replicaset.metadata):
            self._settled.deleted(key, replicaset.metadata)

    def _say(self, deployment: Deployment, message: str) -> None:
        about = reference(DEPLOYMENTS, deployment.metadata)
        self._recorder.note(about, "Normal", "ScalingReplicaSet", message)


def _body(deployment: Deployment, birth: Birth) -> dict[str, Any]:
    template = deployment.spec.template
    marked = {**template.metadata.labels, TEMPLATE_HASH: birth.template_hash}
    selector: dict[str, Any] = msgspec.to_builtins(
        deployment.spec.selector or labels.LabelSelector()
    )
    selector["matchLabels"] = {**selector["matchLabels"], TEMPLATE_HASH: birth.template_hash}
    if not selector["matchExpressions"]:
        del selector["matchExpressions"]
    metadata: dict[str, Any] = {"labels": marked}
    if template.metadata.annotations:
        metadata["annotations"] = template.metadata.annotations
    if template.metadata.finalizers:
        metadata["finalizers"] = template.metadata.finalizers
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": birth.name,
            "namespace": deployment.metadata.namespace,
            "labels": marked,
            "annotations": birth.annotations,
            "ownerReferences": [owner_reference(DEPLOYMENTS, deployment.metadata)],
        },
        "spec": {
            "replicas": birth.replicas,
            "minReadySeconds": deployment.spec.min_ready_seconds,
            "selector": selector,
            "template": {"metadata": metadata, "spec": template.spec},
        },
    }


def _render(status: DeploymentStatus) -> dict[str, Any]:
    """As the API spells it; a zero is null, so that it goes from the object as upstream's does."""
    numbers = {
        "replicas": status.replicas,
        "updatedReplicas": status.updated_replicas,
        "readyReplicas": status.ready_replicas,
        "availableReplicas": status.available_replicas,
        "unavailableReplicas": status.unavailable_replicas,
        "observedGeneration": status.observed_generation,
    }
    return {
        **{name: number or None for name, number in numbers.items()},
        "terminatingReplicas": status.terminating_replicas,
        "conditions": [
            conditions.rendered(item, with_update_time=True) for item in status.conditions
        ],
    }


def _selector_of(deployment: Deployment) -> labels.Selector | None:
    return labels.compile_selector(deployment.spec.selector)


def deployment(world: World) -> Controller:
    """The Deployment controller, wired: it hears of Deployments, ReplicaSets and ended pods."""
    deployments = world.cache(DEPLOYMENTS, Deployment)
    replicasets = world.cache(REPLICA_SETS, ReplicaSet)
    found = world.cache(PODS, Pod)
    indexes.add_namespace(deployments)
    indexes.add_controller(replicasets)
    indexes.add_controller(found)
    queue: WorkQueue[Key] = WorkQueue()

    def pod_changed(old: Pod | None, new: Pod | None) -> None:
        if old is None or (new is not None and not pods.is_terminal(new)):
            return
        owner = controller_of(old.metadata)
        if owner is None or owner.kind != "ReplicaSet":
            return
        replicaset = replicasets.get(Key(old.metadata.namespace, owner.name))
        above = controller_of(replicaset.metadata) if replicaset is not None else None
        if above is not None:
            queue.add(Key(old.metadata.namespace, above.name))

    deployments.on_change(wiring.itself(queue))
    replicasets.on_change(wiring.its_controller(queue, DEPLOYMENTS))
    replicasets.on_change(wiring.its_takers(queue, deployments, _selector_of))
    found.on_change(pod_changed)
    cluster = Deployments(world, deployments, replicasets, found)
    return controller(DeploymentController(cluster), queue, deployments)
