"""PodDisruptionBudgets, the pods they select, and what the controllers of these pods want."""

from collections.abc import Mapping, Sequence

from pilothouse.services.controllers.adapters import indexes, wiring
from pilothouse.services.controllers.adapters.scales import UNSCALED, Scales
from pilothouse.services.controllers.adapters.world import (
    Controller,
    World,
    controller,
    reference,
)
from pilothouse.services.controllers.policy.disruption import (
    DisruptionController,
    Note,
    Unknown,
)
from pilothouse.services.machinery import conditions, labels
from pilothouse.services.machinery.errors import BadRequest, Forbidden, InternalError, NotFound
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.policy import Budget, BudgetStatus
from pilothouse.services.machinery.kinds.statefulsets import StatefulSet
from pilothouse.services.machinery.kinds.workloads import (
    Deployment,
    ReplicaSet,
    ReplicationController,
)
from pilothouse.services.machinery.labels import Selector
from pilothouse.services.machinery.objects import Key, OwnerReference, controller_of
from pilothouse.services.machinery.resources import (
    DEPLOYMENTS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
    Resource,
)
from pilothouse.services.runtime.control.queue import WorkQueue

Wanted = tuple[str, int]
"""A controller's uid, and how many pods it wants."""


class Budgets:
    """What the disruption controller asks for."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._recorder = world.recorder("controllermanager")
        self._scales = Scales(world)
        self._budgets = world.cache(POD_DISRUPTION_BUDGETS, Budget)
        self._pods = world.cache(PODS, Pod)
        self._sets = world.cache(REPLICA_SETS, ReplicaSet)
        self._deployments = world.cache(DEPLOYMENTS, Deployment)
        self._controllers = world.cache(REPLICATION_CONTROLLERS, ReplicationController)
        self._stateful = world.cache(STATEFUL_SETS, StatefulSet)
        indexes.add_namespace(self._budgets)
        indexes.add_namespace(self._pods)

    def budget(self, key: Key) -> Budget | None:
        return self._budgets.get(key)

    def pods(self, budget: Budget) -> Sequence[Pod]:
        selector = selector_of(budget)
        if selector is None:
            return ()
        near = self._pods.by_index(indexes.NAMESPACE, budget.metadata.namespace)
        return [pod for pod in near if selector.matches(pod.metadata.labels)]

    async def replicas(self, found: Sequence[Pod]) -> Mapping[str, int] | Unknown:
        wanted: dict[str, int] = {}
        seen: set[str] = set()
        for pod in found:
            owner = controller_of(pod.metadata)
            if owner is None or owner.uid in seen:
                continue
            seen.add(owner.uid)
            key = Key(pod.metadata.namespace, owner.name)
            try:
                scale = self._known(owner, key) or await self._asked(owner, key)
            except (NotFound, BadRequest, Forbidden, InternalError) as error:
                return Unknown(error.message)
            if scale is None:
                return Unknown(f'found no controllers for pod "{pod.metadata.name}"')
            wanted[scale[0]] = scale[1]
        return wanted

    def _known(self, owner: OwnerReference, key: Key) -> Wanted | None:
        """Who decides about the number of pods, and the number, as far as caches show it."""
        found: Deployment | ReplicaSet | ReplicationController | StatefulSet | None = None
        uid = owner.uid
        if (owner.kind, owner.api_version) == ("ReplicationController", "v1"):
            found = self._controllers.get(key)
        elif not owner.api_version.startswith("apps/"):
            return None
        elif owner.kind == "ReplicaSet":
            found = self._sets.get(key)
            above = _deployment_of(found, uid)
            if above is not None:
                uid, found = above.uid, self._deployments.get(Key(key.namespace, above.name))
        elif owner.kind == "Deployment":
            found = self._deployments.get(key)
        elif owner.kind == "StatefulSet":
            found = self._stateful.get(key)
        if found is None or found.metadata.uid != uid:
            return None
        return uid, found.spec.replicas

    async def _asked(self, owner: OwnerReference, key: Key) -> Wanted | None:
        """The same from the API: of kinds that no cache shows, and of what is newer than it."""
        resource = self._scales.resource(owner.api_version, owner.kind)
        if resource is None:
            version = owner.api_version
            raise NotFound(f'no matches for kind "{owner.kind}" in version "{version}"')
        name = ".".join(filter(None, (resource.plural, resource.group)))
        unscaled = NotFound(f"{name} does not implement the scale subresource")
        if resource in UNSCALED:
            raise unscaled
        try:
            scale = await self._scales.read(resource, key)
        except NotFound:
            if await self._is_there(resource, key):
                raise unscaled from None
            return None
        return (owner.uid, scale.spec.replicas) if scale.metadata.uid == owner.uid else None

    async def _is_there(self, resource: Resource, key: Key) -> bool:
        try:
            await self._objects.get(resource, key)
        except NotFound:
            return False
        return True

    def tell(self, budget: Budget, notes: Sequence[Note]) -> None:
        for note in notes:
            about = reference(POD_DISRUPTION_BUDGETS, budget.metadata)
            if note.pod is not None:
                about = reference(PODS, note.pod.metadata)
            self._recorder.note(about, note.type, note.reason, note.message)

    def now(self) -> float:
        return self._clock.now()

    def warn_of_several(self, pod: Pod) -> None:
        """No eviction of this pod will be allowed."""
        metadata = pod.metadata
        text = f'Pod "{metadata.namespace}"/"{metadata.name}" matches multiple PodDisruptionBudgets'
        about = reference(PODS, metadata)
        self._recorder.note(about, "Warning", "MultiplePodDisruptionBudgets", text)

    async def write_status(self, budget: Budget, status: BudgetStatus) -> None:
        metadata = budget.metadata
        gone = dict.fromkeys(budget.status.disrupted_pods.keys() - status.disrupted_pods.keys())
        body = {
            "observedGeneration": status.observed_generation,
            "disruptedPods": {**status.disrupted_pods, **gone} or None,
            "disruptionsAllowed": status.disruptions_allowed,
            "currentHealthy": status.current_healthy,
            "desiredHealthy": status.desired_healthy,
            "expectedPods": status.expected_pods,
            "conditions": [
                # The API asks for a message, be it empty.
                {
                    "message": "",
                    **conditions.rendered(item),
                    "observedGeneration": status.observed_generation,
                }
                for item in status.conditions
            ],
        }
        patch = {
            "metadata": {"uid": metadata.uid, "resourceVersion": metadata.resource_version},
            "status": body,
        }
        await self._objects.patch(POD_DISRUPTION_BUDGETS, metadata.key, patch, subresource="status")


def selector_of(budget: Budget) -> Selector | None:
    """Which pods count; an empty selector means all of the namespace."""
    return labels.compile_selector(budget.spec.selector)


def _labels(pod: Pod) -> dict[str, str]:
    return pod.metadata.labels


def _deployment_of(owned: ReplicaSet | None, uid: str) -> OwnerReference | None:
    """Who decides in the ReplicaSet's place."""
    above = controller_of(owned.metadata) if owned and owned.metadata.uid == uid else None
    return above if above is not None and above.kind == "Deployment" else None


def disruption(world: World) -> Controller:
    """The disruption controller, wired: a pod's change makes its budgets look again."""
    cluster = Budgets(world)
    budgets = world.cache(POD_DISRUPTION_BUDGETS, Budget)
    found = world.cache(PODS, Pod)
    queue: WorkQueue[Key] = WorkQueue()

    def pod_changed(old: Pod | None, new: Pod | None) -> None:
        pods = [pod for pod in (old, new) if pod is not None]
        now_in = 0
        for budget in budgets.by_index(indexes.NAMESPACE, pods[0].metadata.namespace):
            selector = selector_of(budget)
            if selector and any(selector.matches(pod.metadata.labels) for pod in pods):
                queue.add(budget.metadata.key)
                now_in += new is not None and selector.matches(new.metadata.labels)
        if now_in > 1 and new is not None and (old is None or _labels(old) != _labels(new)):
            cluster.warn_of_several(new)

    budgets.on_change(wiring.itself(queue))
    found.on_change(pod_changed)
    return controller(DisruptionController(cluster), queue, budgets)
