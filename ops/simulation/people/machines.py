"""Those who run the nodes: machines die, and are closed with taints."""

from collections.abc import Sequence

from pilothouse.ops.simulation import bodies
from pilothouse.ops.simulation.members import Member
from pilothouse.ops.simulation.people.person import Person
from pilothouse.services.machinery.resources import DAEMON_SETS, DEPLOYMENTS, NODES

DEAD_SECONDS = (20.0, 400.0)
TAINT = "example.com/maintenance"
NODES_MIN = 3


async def machines(person: Person, nodes: Sequence[Member]) -> None:
    """Machines that die and come back, some after their pods were given up."""
    while await person.another():
        member = person.draw.choice(nodes)
        if not member.is_down:
            member.kill(person.draw.uniform(*DEAD_SECONDS))


async def taints(person: Person) -> None:
    """Nodes are closed to pods that do not bear it, or not for long, and opened again."""
    await person.settle()
    tolerated = {"key": TAINT, "operator": "Exists", "effect": "NoExecute"}
    labels = {"app": "patient"}
    made = bodies.deployment(person.draw, "patient", labels)
    made["spec"]["template"] = bodies.template(labels, 1)
    patience = {**tolerated, "tolerationSeconds": person.draw.choice((1, 15, 60))}
    made["spec"]["template"]["spec"]["tolerations"] = [patience]
    await person.create(DEPLOYMENTS, made)
    labels = {"app": "hardy"}
    made = bodies.daemonset(person.draw, "hardy", labels)
    made["spec"]["template"] = bodies.template(labels, 1)
    made["spec"]["template"]["spec"]["tolerations"] = [tolerated]
    await person.create(DAEMON_SETS, made)
    names = [f"node-{number}" for number in range(NODES_MIN)]
    while await person.another():
        await _shut(person, person.draw.choice(names), person.draw.choice((True, False)))
    for name in names:
        await _shut(person, name, False)


async def _shut(person: Person, name: str, shut: bool) -> None:
    """Whatever others write to the node meanwhile."""
    while (node := await person.get(NODES, name)) is not None:
        taints = node["spec"].get("taints", [])
        wanted = [item for item in taints if item["key"] != TAINT]
        wanted += [{"key": TAINT, "effect": "NoExecute"}] if shut else []
        if [item["key"] for item in wanted] == [item["key"] for item in taints]:
            return
        seen = {"resourceVersion": node["metadata"]["resourceVersion"]}
        await person.patch(NODES, name, {"metadata": seen, "spec": {"taints": wanted}})
