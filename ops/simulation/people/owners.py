"""Those who delete what others hang on: namespaces, and owners of owners."""

from pilothouse.ops.simulation import bodies
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
