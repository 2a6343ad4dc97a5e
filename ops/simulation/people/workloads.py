"""Those who run servers: Deployments, StatefulSets, DaemonSets, ReplicationControllers."""

from pilothouse.ops.simulation import bodies
from pilothouse.ops.simulation.bodies import Body
from pilothouse.ops.simulation.people.person import HEALED, Person, heal, take_pod
from pilothouse.services.machinery.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    REPLICATION_CONTROLLERS,
    SERVICES,
    STATEFUL_SETS,
)


async def deployments(person: Person) -> None:
    """Scale, roll, roll back, pause, delete."""
    await person.settle()
    name, labels = "web", {"app": "web"}
    first = bodies.deployment(person.draw, name, labels)
    await person.create(DEPLOYMENTS, first)
    await person.create(SERVICES, bodies.service(name, labels))
    version = 1
    while await person.another():
        act = person.draw.choice(("scale", "roll", "roll", "back", "pause", "how", "pod", "go"))
        if act == "pod":
            await take_pod(person)
        elif act == "go":
            propagation = person.draw.choice(("Background", "Foreground", "Orphan"))
            await person.delete(DEPLOYMENTS, name, propagation)
            await person.another()
            await person.create(DEPLOYMENTS, first)
        else:
            version += act == "roll"
            await person.patch(DEPLOYMENTS, name, {"spec": _edit(person, act, labels, version)})
    made = bodies.template(labels, version + 1)
    made["metadata"]["annotations"].update(HEALED)
    await person.create(DEPLOYMENTS, first)
    await person.patch(DEPLOYMENTS, name, {"spec": {"paused": False, "template": made}})


def _edit(person: Person, act: str, labels: dict[str, str], version: int) -> Body:
    """What an owner of a Deployment changes in its spec."""
    draw = person.draw
    match act:
        case "scale":
            return {"replicas": draw.randint(0, 6)}
        case "roll":
            return {"template": bodies.template(labels, version, bodies.notes(draw))}
        case "back":
            return {"template": bodies.template(labels, draw.randint(1, version))}
        case "pause":
            return {"paused": draw.choice((True, False))}
        case _:
            return {"strategy": bodies.strategy(draw)}


async def statefulsets(person: Person) -> None:
    """Scale, roll, change how, delete a pod, delete all."""
    await person.settle()
    name, labels = "db", {"app": "db"}
    first = bodies.statefulset(person.draw, name, labels)
    await person.create(STATEFUL_SETS, first)
    version = 1
    while await person.another():
        match person.draw.choice(("scale", "scale", "roll", "how", "pod", "go")):
            case "scale":
                replicas = person.draw.randint(0, 5)
                await person.patch(STATEFUL_SETS, name, {"spec": {"replicas": replicas}})
            case "roll":
                version += 1
                made = bodies.template(labels, version, bodies.notes(person.draw))
                await person.patch(STATEFUL_SETS, name, {"spec": {"template": made}})
            case "how":
                how = bodies.stateful_update(person.draw)
                await person.patch(STATEFUL_SETS, name, {"spec": {"updateStrategy": how}})
            case "pod":
                await take_pod(person)
            case _:
                await person.delete(STATEFUL_SETS, name, "Background")
                await person.another()
                await person.create(STATEFUL_SETS, first)
    await person.create(STATEFUL_SETS, first)
    await heal(person, STATEFUL_SETS, name, bodies.template(labels, version + 1))


async def daemonsets(person: Person) -> None:
    """Roll, change how, delete a pod."""
    await person.settle()
    name, labels = "agent", {"app": "agent"}
    await person.create(DAEMON_SETS, bodies.daemonset(person.draw, name, labels))
    version = 1
    while await person.another():
        match person.draw.choice(("roll", "roll", "how", "pod")):
            case "roll":
                version += 1
                made = bodies.template(labels, version, bodies.notes(person.draw))
                await person.patch(DAEMON_SETS, name, {"spec": {"template": made}})
            case "how":
                how = bodies.daemon_update(person.draw)
                await person.patch(DAEMON_SETS, name, {"spec": {"updateStrategy": how}})
            case _:
                await take_pod(person)
    await heal(person, DAEMON_SETS, name, bodies.template(labels, version + 1))


async def replicationcontrollers(person: Person) -> None:
    """Scale, let a pod go by its labels, delete without the pods and take them up again."""
    await person.settle()
    name, labels = "old", {"app": "old"}
    spec: Body = {"replicas": 3, "selector": labels, "template": bodies.template(labels, 1)}
    first = bodies.workload("ReplicationController", name, spec, "v1")
    await person.create(REPLICATION_CONTROLLERS, first)
    while await person.another():
        match person.draw.choice(("scale", "scale", "free", "pod", "go")):
            case "scale":
                replicas = person.draw.randint(0, 5)
                await person.patch(REPLICATION_CONTROLLERS, name, {"spec": {"replicas": replicas}})
            case "free":
                found = await person.pods()
                if found:
                    other = {"metadata": {"labels": {"app": "free"}}}
                    await person.patch(PODS, person.draw.choice(found), other)
            case "pod":
                await take_pod(person)
            case _:
                how = person.draw.choice(("Background", "Foreground", "Orphan"))
                await person.delete(REPLICATION_CONTROLLERS, name, how)
                await person.another()
                await person.create(REPLICATION_CONTROLLERS, first)
    await person.create(REPLICATION_CONTROLLERS, first)
