"""Those who set bounds: budgets, quotas, autoscalers."""

from pilothouse.ops.simulation import bodies
from pilothouse.ops.simulation.invariants.guards import GUARDED
from pilothouse.ops.simulation.people.person import Person, take_pod
from pilothouse.services.machinery.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    POD_DISRUPTION_BUDGETS,
    REPLICA_SETS,
    Resource,
)

RESOURCE_QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")


async def autoscalers(person: Person) -> None:
    """Two who size one Deployment; no metric can be read, so that only bounds count."""
    await person.settle()
    labels = {"app": "wide"}
    made = bodies.deployment(person.draw, "wide", labels)
    made["spec"]["template"] = bodies.template(labels, 1)
    await person.create(DEPLOYMENTS, made)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "wide"}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 4}
    await person.create(
        HORIZONTAL_POD_AUTOSCALERS,
        bodies.workload("HorizontalPodAutoscaler", "wide", spec, "autoscaling/v2"),
    )
    while await person.another():
        if person.draw.choice((True, False)):
            least = person.draw.randint(1, 4)
            most = least + person.draw.randint(0, 2)
            bounds = {"spec": {"minReplicas": least, "maxReplicas": most}}
            await person.patch(HORIZONTAL_POD_AUTOSCALERS, "wide", bounds)
        else:
            replicas = person.draw.randint(0, 7)
            await person.patch(DEPLOYMENTS, "wide", {"spec": {"replicas": replicas}})


async def drains(person: Person) -> None:
    """Evict what a budget guards; nobody else takes those pods."""
    await person.settle()
    least = person.draw.randint(1, 3)
    labels = {"app": "guarded", GUARDED: str(least)}
    made = bodies.deployment(person.draw, "guarded", labels)
    made["spec"] |= {"replicas": person.draw.randint(least, 5), "minReadySeconds": 0}
    made["spec"]["template"] = bodies.template(labels, 1)
    # Somebody else may close nodes.
    made["spec"]["template"]["spec"]["tolerations"] = [{"operator": "Exists"}]
    await person.create(DEPLOYMENTS, made)
    budget = {"minAvailable": least, "selector": bodies.selector(labels)}
    await person.create(
        POD_DISRUPTION_BUDGETS,
        bodies.workload("PodDisruptionBudget", "guard", budget, "policy/v1"),
    )
    while await person.another():
        for name in await person.pods():
            await person.evict(name)


async def quotas(person: Person) -> None:
    """Ask for more than there may be."""
    await person.settle()
    hard = {"pods": str(person.draw.randint(1, 4)), "configmaps": "4"}
    quota = {**bodies.named("ResourceQuota", "most"), "spec": {"hard": hard}}
    await person.create(RESOURCE_QUOTAS, quota)
    spec = {
        "replicas": 6,
        "selector": bodies.selector({"app": "many"}),
        "template": bodies.template({"app": "many"}, 1),
    }
    await person.create(REPLICA_SETS, bodies.workload("ReplicaSet", "many", spec))
    count = 0
    while await person.another():
        count += 1
        match person.draw.choice(("more", "pod", "less", "bounds")):
            case "bounds":
                hard = {"pods": str(person.draw.randint(0, 5))}
                await person.patch(RESOURCE_QUOTAS, "most", {"spec": {"hard": hard}})
            case "more":
                await person.create(CONFIG_MAPS, bodies.config(f"one-{count}"))
            case "pod":
                await take_pod(person)
            case _:
                await person.delete(CONFIG_MAPS, f"one-{person.draw.randint(1, count)}")
