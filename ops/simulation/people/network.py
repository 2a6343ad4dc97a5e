"""Those who offer services: by selectors that change, and by addresses they write themselves."""

from pilothouse.ops.simulation import bodies
from pilothouse.ops.simulation.bodies import Body
from pilothouse.ops.simulation.people.person import Person, take_pod
from pilothouse.services.kubelet.adapters.hollow import course
from pilothouse.services.machinery.resources import ENDPOINTS, REPLICA_SETS, SERVICES

ADDRESSES_MAX = 3


async def services(person: Person) -> None:
    """Two sets of pods behind one Service in turn; another Service leads out of the cluster."""
    await person.settle()
    await _offer(person)
    outside = bodies.service("outside", {})
    outside["spec"].pop("selector")
    await person.create(SERVICES, outside)
    while await person.another():
        match person.draw.choice(("turn", "turn", "scale", "pod", "write", "write", "drop", "go")):
            case "turn":
                chosen = person.draw.choice(({"app": "blue"}, {"app": "green"}, {"app": None}))
                told = {"app": None, "all": "yes"} if chosen["app"] is None else chosen
                await person.patch(SERVICES, "live", {"spec": {"selector": told}})
            case "scale":
                size = {"spec": {"replicas": person.draw.randint(0, 4)}}
                await person.patch(REPLICA_SETS, person.draw.choice(("blue", "green")), size)
            case "pod":
                await take_pod(person)
            case "write":
                written = _endpoints(person)
                await person.create(ENDPOINTS, written)
                await person.patch(ENDPOINTS, "outside", {"subsets": written["subsets"]})
            case "drop":
                await person.delete(ENDPOINTS, "outside")
            case _:
                await person.delete(SERVICES, "outside")
                await person.another()
                await person.create(SERVICES, outside)
    await person.create(SERVICES, outside)


async def _offer(person: Person) -> None:
    for name in ("blue", "green"):
        spec: Body = {
            "replicas": person.draw.randint(1, 3),
            "selector": bodies.selector({"app": name}),
            "template": bodies.template({"app": name, "all": "yes"}, 1, bodies.notes(person.draw)),
        }
        spec["template"]["metadata"]["annotations"].pop(course.EXIT_CODE, None)
        await person.create(REPLICA_SETS, bodies.workload("ReplicaSet", name, spec))
    await person.create(SERVICES, bodies.service("live", {"app": "blue"}))


def _endpoints(person: Person) -> Body:
    last = person.draw.randint(1, ADDRESSES_MAX)
    addresses = [{"ip": f"192.0.2.{number}"} for number in range(1, last + 1)]
    subsets = [{"addresses": addresses, "ports": [{"port": 80, "protocol": "TCP"}]}]
    return {**bodies.named("Endpoints", "outside"), "subsets": subsets}
