"""PodDisruptionBudgets, the pods they select, and what the controllers of these pods want."""

from collections.abc import Mapping, Sequence

from pilothouse.services.controllers.adapters import indexes, wiring
from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.policy.disruption import DisruptionController
from pilothouse.services.machinery import conditions, labels
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.policy import Budget, BudgetStatus
from pilothouse.services.machinery.kinds.statefulsets import StatefulSet
from pilothouse.services.machinery.kinds.workloads import (
    Deployment,
    ReplicaSet,
    ReplicationController,
)
from pilothouse.services.machinery.labels import Selector
from pilothouse.services.machinery.objects import Key, controller_of
from pilothouse.services.machinery.resources import (
    DEPLOYMENTS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
)
from pilothouse.services.runtime.control.queue import WorkQueue


class Budgets:
    """What the disruption controller asks for."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._clock = world.clock
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

    def replicas(self, found: Sequence[Pod]) -> Mapping[str, int] | None:
        wanted: dict[str, int] = {}
        for pod in found:
            owner = controller_of(pod.metadata)
            if owner is None:
                continue
            scale = self._scale(owner.kind, Key(pod.metadata.namespace, owner.name))
            if scale is None:
                return None
            wanted[scale[0]] = scale[1]
        return wanted

    def _scale(self, kind: str, key: Key) -> tuple[str, int] | None:
        """Who decides about the number of pods, and the number."""
        if kind == "ReplicaSet":
            owned = self._sets.get(key)
            above = controller_of(owned.metadata) if owned is not None else None
            if above is not None and above.kind == "Deployment":
                return self._scale("Deployment", Key(key.namespace, above.name))
            return None if owned is None else (owned.metadata.uid, owned.spec.replicas)
        found: Deployment | ReplicationController | StatefulSet | None = None
        if kind == "Deployment":
            found = self._deployments.get(key)
        elif kind == "ReplicationController":
            found = self._controllers.get(key)
        elif kind == "StatefulSet":
            found = self._stateful.get(key)
        return None if found is None else (found.metadata.uid, found.spec.replicas)

    def now(self) -> float:
        return self._clock.now()

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


def disruption(world: World) -> Controller:
    """The disruption controller, wired: a pod's change makes its budgets look again."""
    cluster = Budgets(world)
    budgets = world.cache(POD_DISRUPTION_BUDGETS, Budget)
    found = world.cache(PODS, Pod)
    queue: WorkQueue[Key] = WorkQueue()

    def pod_changed(old: Pod | None, new: Pod | None) -> None:
        pods = [pod for pod in (old, new) if pod is not None]
        for budget in budgets.by_index(indexes.NAMESPACE, pods[0].metadata.namespace):
            selector = selector_of(budget)
            if selector and any(selector.matches(pod.metadata.labels) for pod in pods):
                queue.add(budget.metadata.key)

    budgets.on_change(wiring.itself(queue))
    found.on_change(pod_changed)
    return controller(DisruptionController(cluster), queue, budgets)
