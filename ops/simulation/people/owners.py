"""Those who delete what others hang on: namespaces, and owners of owners."""

from pilothouse.ops.simulation import bodies
from pilothouse.ops.simulation.bodies import Body
from pilothouse.ops.simulation.people.person import Person
from pilothouse.services.machinery.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    STATEFUL_SETS,
)


async def namespaces(person: Person) -> None:
    """A namespace that goes with all that is in it, and comes again."""
    while await person.another():
        await person.settle()
        labels = {"app": "short"}
        await person.create(CONFIG_MAPS, bodies.config("one"))
        await person.create(DEPLOYMENTS, bodies.deployment(person.draw, "short", labels))
        await person.create(STATEFUL_SETS, bodies.statefulset(person.draw, "kept", {"app": "k"}))
        await person.create(JOBS, bodies.job(person.draw, "brief"))
        await person.another()
        await person.delete(NAMESPACES, person.name)
        await person.another()
    await person.delete(NAMESPACES, person.name)


async def owners(person: Person) -> None:
    """Things that own each other, in chains, forks and circles; some owners never were."""
    await person.settle()
    count = 0
    while await person.another():
        match person.draw.choice(("new", "new", "new", "stranger", "circle", "go")):
            case "new":
                count += 1
                above = await _references(person, count)
                await person.create(CONFIG_MAPS, _owned(f"thing-{count}", above))
            case "stranger":
                count += 1
                stranger = {**_reference("nobody", person.draw.randbytes(16).hex())}
                above = [stranger, *await _references(person, count)]
                await person.create(CONFIG_MAPS, _owned(f"thing-{count}", above))
            case "circle":
                above = await _references(person, count)
                name = f"thing-{person.draw.randint(1, max(count, 1))}"
                owned = {"metadata": {"ownerReferences": above}}
                await person.patch(CONFIG_MAPS, name, owned)
            case _:
                how = person.draw.choice(("Background", "Foreground", "Orphan"))
                name = f"thing-{person.draw.randint(1, max(count, 1))}"
                await person.delete(CONFIG_MAPS, name, how)


async def _references(person: Person, count: int) -> list[Body]:
    """To some of those that are there."""
    made = []
    for number in person.draw.sample(range(1, count + 1), min(person.draw.randint(0, 2), count)):
        found = await person.get(CONFIG_MAPS, f"thing-{number}")
        if found is not None:
            blocks = person.draw.choice((True, False))
            uid = found["metadata"]["uid"]
            made.append({**_reference(f"thing-{number}", uid), "blockOwnerDeletion": blocks})
    return made


def _reference(name: str, uid: str) -> Body:
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid}


def _owned(name: str, above: list[Body]) -> Body:
    made = bodies.config(name)
    made["metadata"]["ownerReferences"] = above
    return made
