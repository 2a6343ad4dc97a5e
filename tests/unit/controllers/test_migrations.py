"""Migrations of storage: which runs, what is said of it, and what it leaves."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers.storage import migration
from pilothouse.services.controllers.storage.migration import (
    FAILED,
    RUNNING,
    SUCCEEDED,
    MigrationController,
    Observed,
)
from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.kinds import migrations
from pilothouse.services.machinery.objects import Key, Metadata
from pilothouse.services.machinery.resources import CONFIG_MAPS

NOW = 1_000_000.0
replace = msgspec.structs.replace


def asked(*told, age=0.0, name="m"):
    made = timestamps.render(NOW - age)
    return migrations.StorageVersionMigration(
        metadata=Metadata(name=name, creation_timestamp=made),
        status=migrations.Status(conditions=told),
    )


def plan(it, *beside, known=True):
    return migration.plan(it, beside, known=known, now=NOW)


def test_a_kind_is_migrated_once():
    first = plan(asked())
    assert first.migrate
    assert conditions.find(first.say, RUNNING).message == "The migration is running"
    done = migration.said(first.say, SUCCEEDED, NOW)
    assert {item.type: item.status for item in done} == {SUCCEEDED: "True"}
    assert plan(asked(*done)) == migration.Plan(done)


def test_a_kind_that_is_not_there_is_waited_for_a_while():
    assert plan(asked(), known=False).again_after == migration.LOOK_SECONDS
    failed = plan(asked(age=61), known=False)
    assert conditions.find(failed.say, FAILED).message == "resource not found"
    assert not failed.migrate


def test_of_one_kind_the_oldest_goes_first():
    old, new = asked(age=9, name="z"), asked(name="a")
    assert plan(old, new).migrate
    assert not plan(new, old).migrate
    assert plan(asked(name="a"), asked(name="b")).migrate
    assert not plan(asked(name="b"), asked(name="a")).migrate
    running = asked(*plan(new).say, name="a")
    assert plan(running, old).migrate
    assert not plan(old, running).migrate
    over = asked(*migration.said((), FAILED, NOW), age=9)
    assert plan(new, over).migrate


ENDS = st.sampled_from(["", RUNNING, SUCCEEDED, FAILED])


@given(st.lists(st.tuples(ENDS, st.integers(0, 3)), min_size=1, max_size=5))
def test_one_runs_at_a_time_and_each_has_its_turn(shapes):
    all_ = {}
    runs = False
    for number, (end, age) in enumerate(shapes):
        told = migration.said((), end, NOW) if end and not (runs and end == RUNNING) else ()
        runs |= end == RUNNING
        all_[f"m{number}"] = asked(*told, age=age, name=f"m{number}")
    for _ in range(len(all_)):
        waiting = [name for name, it in all_.items() if not migration.is_over(it)]
        todo = {name: plan(all_[name], *(all_[n] for n in all_ if n != name)) for name in waiting}
        going = [name for name in waiting if todo[name].migrate]
        assert len(going) == bool(waiting)
        for name in going:
            told = migration.said(todo[name].say, SUCCEEDED, NOW)
            all_[name] = replace(all_[name], status=migrations.Status(conditions=told))
    assert all(migration.is_over(it) for it in all_.values())


def definition(generation=3, **status):
    versions = [{"name": "v1", "storage": False}, {"name": "v2", "storage": True}]
    return {"metadata": {"generation": generation}, "spec": {"versions": versions},
            "status": {"storedVersions": ["v1", "v2"], **status}}  # fmt: skip


def test_a_custom_kind_says_that_it_is_migrated_and_what_is_stored_then():
    other = {"type": "Established", "status": "True"}
    begun = migration.marked(definition(conditions=[other]), "m", RUNNING, NOW)
    assert begun["storedVersions"] == ["v1", "v2"]
    [_, said] = begun["conditions"]
    assert said == {
        "type": "StorageMigrating", "status": "True", "reason": "MigrationRunning",
        "message": "Migration m is running", "observedGeneration": 3,
        "lastTransitionTime": timestamps.render(NOW),
    }  # fmt: skip
    running = definition() | {"status": begun}
    done = migration.marked(running, "m", SUCCEEDED, NOW + 5)
    assert done["storedVersions"] == ["v2"]
    [kept, said] = done["conditions"]
    assert kept == other
    assert (said["status"], said["reason"]) == ("False", "MigrationSucceeded")
    assert said["lastTransitionTime"] == timestamps.render(NOW + 5)
    assert migration.marked({**running, "status": done}, "m", SUCCEEDED, NOW + 9) == done


def test_what_changed_meanwhile_or_failed_leaves_what_is_stored():
    begun = migration.marked(definition(), "m", RUNNING, NOW)
    changed = definition(generation=4) | {"status": begun}
    done = migration.marked(changed, "m", SUCCEEDED, NOW)
    assert done["storedVersions"] == ["v1", "v2"]
    assert "generation mismatch" in done["conditions"][0]["message"]
    failed = migration.marked(definition() | {"status": begun}, "m", FAILED, NOW)
    assert failed["storedVersions"] == ["v1", "v2"]
    assert failed["conditions"][0]["reason"] == "MigrationFailed"


class Shelf:
    """Two objects to migrate."""

    def __init__(self, fault=""):
        self.it, self.fault, self.acts = asked(), fault, []

    def observe(self, key):
        return Observed(self.it, CONFIG_MAPS, ())

    def now(self):
        return NOW

    async def objects(self, resource):
        return [Metadata(name="a"), Metadata(name="b")], 7

    async def rewrite(self, resource, item):
        self.acts.append(item.name)
        return self.fault

    async def mark(self, migration, type_):
        self.acts.append(type_)

    async def tell(self, migration, told, revision=None):
        self.acts.append(revision)
        self.it = replace(self.it, status=migrations.Status(conditions=told))


async def test_all_are_written_until_one_cannot_be():
    for fault, acts in (
        ("", [RUNNING, 7, "a", "b", SUCCEEDED, None]),
        ("odd", [RUNNING, 7, "a", FAILED, None]),
    ):
        shelf = Shelf(fault)
        for _ in range(2):
            await MigrationController(shelf).reconcile(Key("", "m"))
        assert shelf.acts == acts
