"""What always happens in the same way: short lives, to be disturbed at each of their writes."""

from pilothouse.ops.simulation import bodies
from pilothouse.ops.simulation.bodies import Body
from pilothouse.ops.simulation.invariants.guards import GUARDED
from pilothouse.ops.simulation.people.person import Person
from pilothouse.services.kubelet.adapters.hollow import course
from pilothouse.services.machinery.resources import (
    CONFIG_MAPS,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    POD_DISRUPTION_BUDGETS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)

SETTLED_SECONDS, MIDWAY_SECONDS = 8.0, 1.5
KEPT = 2
"""How many guarded pods must stay."""


async def rollout(person: Person) -> None:
    """A Deployment is changed, changed again midway, scaled, and goes with its pods."""
    labels = {"app": "web"}
    await person.settle()
    await person.create(SERVICES, bodies.service("web", labels))
    spec: Body = {
        "replicas": 3,
        "selector": bodies.selector(labels),
        "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}},
        "revisionHistoryLimit": 1,
        "template": bodies.template(labels, 1),
    }
    await person.create(DEPLOYMENTS, bodies.workload("Deployment", "web", spec))
    await person.clock.sleep(SETTLED_SECONDS)
    await _roll(person, DEPLOYMENTS, "web", labels, 2)
    await person.clock.sleep(MIDWAY_SECONDS)
    await _roll(person, DEPLOYMENTS, "web", labels, 3)
    await person.clock.sleep(SETTLED_SECONDS)
    await person.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 2}})
    await person.clock.sleep(SETTLED_SECONDS)


async def ordered(person: Person) -> None:
    """A StatefulSet with claims is updated midway through its birth, and shrinks."""
    labels = {"app": "db"}
    await person.settle()
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    spec: Body = {
        "replicas": 3,
        "serviceName": "db",
        "selector": bodies.selector(labels),
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"},
        "revisionHistoryLimit": 1,
        "template": bodies.template(labels, 1),
    }
    await person.create(STATEFUL_SETS, bodies.workload("StatefulSet", "db", spec))
    await person.clock.sleep(SETTLED_SECONDS)
    await _roll(person, STATEFUL_SETS, "db", labels, 2)
    await person.clock.sleep(SETTLED_SECONDS)
    await person.patch(STATEFUL_SETS, "db", {"spec": {"replicas": 1}})
    await person.clock.sleep(SETTLED_SECONDS)


async def indexed(person: Person) -> None:
    """A Job of four indexes, and one whose pods fail until it does."""
    await person.settle()
    spec: Body = {"completions": 4, "parallelism": 2, "completionMode": "Indexed"}
    await person.create(JOBS, _job("work", spec, {course.RUN_SECONDS: "1"}))
    spec = {"completions": 2, "parallelism": 1, "backoffLimit": 1}
    await person.create(JOBS, _job("vain", spec, {course.EXIT_CODE: "1"}))
    await person.clock.sleep(SETTLED_SECONDS)
    spec = {"completions": 2, "parallelism": 2, "ttlSecondsAfterFinished": 5}
    await person.create(JOBS, _job("brief", spec, {course.RUN_SECONDS: "1"}))
    await person.clock.sleep(SETTLED_SECONDS)


async def ticking(person: Person) -> None:
    """A CronJob that starts one Job a minute and keeps none of them."""
    await person.settle()
    spec: Body = {"completions": 1, "template": _job("", {}, {course.RUN_SECONDS: "1"})["spec"]}
    spec["template"] = spec["template"]["template"]
    told = {
        "schedule": "* * * * *",
        "concurrencyPolicy": "Forbid",
        "successfulJobsHistoryLimit": 1,
        "jobTemplate": {"spec": spec},
    }
    await person.create(CRON_JOBS, bodies.workload("CronJob", "tick", told, "batch/v1"))
    await person.clock.sleep(140.0)
    await person.patch(CRON_JOBS, "tick", {"spec": {"suspend": True}})


async def everywhere(person: Person) -> None:
    """A DaemonSet is updated, by taking pods first and then by surging."""
    labels = {"app": "agent"}
    await person.settle()
    spec: Body = {
        "selector": bodies.selector(labels),
        "updateStrategy": {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
        "template": bodies.template(labels, 1),
    }
    await person.create(DAEMON_SETS, bodies.workload("DaemonSet", "agent", spec))
    await person.clock.sleep(SETTLED_SECONDS)
    await _roll(person, DAEMON_SETS, "agent", labels, 2)
    await person.clock.sleep(SETTLED_SECONDS)
    how = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    await person.patch(DAEMON_SETS, "agent", {"spec": {"updateStrategy": how}})
    await _roll(person, DAEMON_SETS, "agent", labels, 3)
    await person.clock.sleep(SETTLED_SECONDS)


async def cleared(person: Person) -> None:
    """A namespace goes with all that is in it."""
    labels = {"app": "short"}
    await person.settle()
    await person.create(CONFIG_MAPS, bodies.config("one"))
    await person.create(SERVICES, bodies.service("short", labels))
    spec: Body = {
        "replicas": 2,
        "selector": bodies.selector(labels),
        "template": bodies.template(labels, 1),
    }
    await person.create(DEPLOYMENTS, bodies.workload("Deployment", "short", spec))
    await person.create(STATEFUL_SETS, bodies.workload("StatefulSet", "kept", spec))
    await person.create(JOBS, _job("work", {"completions": 2}, {course.RUN_SECONDS: "20"}))
    await person.clock.sleep(MIDWAY_SECONDS)
    await person.delete(NAMESPACES, person.name)
    await person.clock.sleep(SETTLED_SECONDS)


async def drained(person: Person) -> None:
    """Pods that a budget guards are evicted, as fast as it allows."""
    labels = {"app": "guarded", GUARDED: str(KEPT)}
    await person.settle()
    spec: Body = {
        "replicas": KEPT + 1,
        "selector": bodies.selector(labels),
        "template": bodies.template(labels, 1),
    }
    budget = {"minAvailable": KEPT, "selector": bodies.selector(labels)}
    await person.create(DEPLOYMENTS, bodies.workload("Deployment", "guarded", spec))
    await person.create(
        POD_DISRUPTION_BUDGETS,
        bodies.workload("PodDisruptionBudget", "guard", budget, "policy/v1"),
    )
    await person.clock.sleep(SETTLED_SECONDS)
    for _ in range(3):
        for name in await person.pods():
            await person.evict(name)
        await person.clock.sleep(MIDWAY_SECONDS)


async def disowned(person: Person) -> None:
    """Owners go, each in another way: first, last, and without what they owned."""
    await person.settle()
    for how in ("Background", "Foreground", "Orphan"):
        name = how.lower()
        labels = {"app": name}
        spec: Body = {
            "replicas": 2,
            "selector": bodies.selector(labels),
            "template": bodies.template(labels, 1),
        }
        await person.create(DEPLOYMENTS, bodies.workload("Deployment", name, spec))
    await person.clock.sleep(SETTLED_SECONDS)
    for how in ("Background", "Foreground", "Orphan"):
        await person.delete(DEPLOYMENTS, how.lower(), how)
    await person.clock.sleep(SETTLED_SECONDS)
    labels = {"app": "orphan"}
    spec = {
        "replicas": 1,
        "selector": bodies.selector(labels),
        "template": bodies.template(labels, 1),
    }
    await person.create(REPLICA_SETS, bodies.workload("ReplicaSet", "heir", spec))
    await person.clock.sleep(SETTLED_SECONDS)


async def _roll(
    person: Person, resource: Resource, name: str, labels: dict[str, str], version: int
) -> None:
    made = bodies.template(labels, version)
    await person.patch(resource, name, {"spec": {"template": made}})


def _job(name: str, spec: Body, notes: dict[str, str]) -> Body:
    made = bodies.template({"kind": "job"}, 1, notes)
    made["spec"]["restartPolicy"] = "Never"
    return bodies.workload("Job", name, {**spec, "template": made}, "batch/v1")
