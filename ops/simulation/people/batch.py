"""Those who have work done: Jobs and CronJobs."""

from pilothouse.ops.simulation import bodies
from pilothouse.ops.simulation.people.person import Person, take_pod
from pilothouse.services.machinery.resources import CRON_JOBS, JOBS


async def jobs(person: Person) -> None:
    """One after another, suspended now and then, pods taken away, some deleted."""
    await person.settle()
    count = 0
    while await person.another():
        match person.draw.choice(("new", "new", "suspend", "wider", "pod", "go")):
            case "new":
                count += 1
                await person.create(JOBS, bodies.job(person.draw, f"work-{count}"))
            case "suspend":
                name, suspend = _one(person, count), person.draw.choice((True, False))
                await person.patch(JOBS, name, {"spec": {"suspend": suspend}})
            case "wider":
                wide = person.draw.randint(0, 5)
                await person.patch(JOBS, _one(person, count), {"spec": {"parallelism": wide}})
            case "pod":
                await take_pod(person)
            case _:
                how = person.draw.choice(("Background", "Foreground"))
                await person.delete(JOBS, _one(person, count), how)
    for number in range(1, count + 1):
        await person.patch(JOBS, f"work-{number}", {"spec": {"suspend": False, "parallelism": 2}})


def _one(person: Person, count: int) -> str:
    return f"work-{person.draw.randint(1, max(count, 1))}"


async def cronjobs(person: Person) -> None:
    """One that starts a Job every minute."""
    await person.settle()
    await person.create(CRON_JOBS, bodies.cronjob(person.draw, "tick"))
    while await person.another():
        suspend = person.draw.choice((True, False, False))
        await person.patch(CRON_JOBS, "tick", {"spec": {"suspend": suspend}})
    await person.patch(CRON_JOBS, "tick", {"spec": {"suspend": True}})
