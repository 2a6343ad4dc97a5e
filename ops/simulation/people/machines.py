"""Those who run the nodes: machines die, and are closed with taints."""

from collections.abc import Sequence

from pilothouse.ops.simulation.members import Member
from pilothouse.ops.simulation.people.person import Person

DEAD_SECONDS = (20.0, 400.0)


async def machines(person: Person, nodes: Sequence[Member]) -> None:
    """Machines that die and come back, some after their pods were given up."""
    while await person.another():
        member = person.draw.choice(nodes)
        if not member.is_down:
            member.kill(person.draw.uniform(*DEAD_SECONDS))
