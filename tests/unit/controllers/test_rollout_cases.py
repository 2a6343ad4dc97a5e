"""Deployments, case by case: sizes, annotations, history and conditions where they are subtle."""

import msgspec
import pytest

from pilothouse.services.controllers.workload import deployment
from pilothouse.services.controllers.workload.rollout import changes, progress, revisions, sizes
from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.errors import Forbidden
from pilothouse.services.machinery.kinds import replicas
from pilothouse.services.machinery.kinds.pods import PodTemplate
from pilothouse.services.machinery.kinds.workloads import (
    REVISION,
    Deployment,
    DeploymentSpec,
    DeploymentStatus,
    ReplicaSet,
    ReplicaSetSpec,
    ReplicaStatus,
    RollingUpdate,
    Strategy,
)
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Key, Metadata, OwnerReference

NOW = 1_000_000.0
LABELS = {"app": "web"}
OWNER = OwnerReference(
    api_version="apps/v1", kind="Deployment", name="web", uid="dep", controller=True
)
replace = msgspec.structs.replace


def template(image, **metadata):
    spec = msgspec.Raw(msgspec.json.encode({"containers": [{"name": "c", "image": image}]}))
    return PodTemplate(metadata=Metadata(labels=LABELS, **metadata), spec=spec)


def wanting(number, image="new", *, surge=1, unavailable=0, recreate=False, **more):
    rolling = RollingUpdate(max_surge=surge, max_unavailable=unavailable)
    status = more.pop("status", DeploymentStatus())
    strategy = Strategy(type="Recreate") if recreate else Strategy(rolling_update=rolling)
    return Deployment(
        metadata=Metadata(
            name="web", uid="dep", generation=1, annotations=more.pop("annotations", {})
        ),
        spec=DeploymentSpec(
            replicas=number,
            selector=LabelSelector(match_labels=LABELS),
            strategy=strategy,
            template=template(image),
            **more,
        ),
        status=status,
    )


def having(name, number, *, available=None, sized=None, age=0, **annotations):
    """``sized``: what the Deployment wanted and what it allowed when it last sized this one."""
    told = {REVISION: annotations.pop("revision", str(age + 1)), **annotations}
    if sized is not None:
        told |= {revisions.DESIRED: str(sized[0]), revisions.MAXIMUM: str(sized[1])}
    serving = number if available is None else available
    return ReplicaSet(
        metadata=Metadata(
            name=name,
            uid=name,
            labels=LABELS,
            annotations=told,
            creation_timestamp=timestamps.render(NOW + age),
            owner_references=(OWNER,),
        ),
        spec=ReplicaSetSpec(replicas=number, template=template(name)),
        status=ReplicaStatus(replicas=number, ready_replicas=serving, available_replicas=serving),
    )


def look(wanted, *found, running=(), now=NOW):
    return deployment.plan(wanted, found, frozenset(running), now)


def sized(todo):
    return {item.replicaset.metadata.name: item.replicas for item in todo.change}


def progressing(status):
    return conditions.find(status.conditions, "Progressing")


@pytest.mark.parametrize(
    ("wanted", "surge", "before", "found", "after"),
    [
        # One alone takes all, whatever the surge.
        (12, 0, (10, 10), {"new": 10}, {"new": 12}),
        (5, 2, (10, 12), {"old-1": 10}, {"old-1": 5}),
        # Shares of the whole; what rounding leaves goes to the largest.
        (12, 0, (10, 10), {"new": 5, "old-1": 5}, {"new": 6, "old-1": 6}),
        (5, 0, (10, 10), {"new": 5, "old-1": 5}, {"new": 3, "old-1": 2}),
        (20, 0, (10, 10), {"new": 5, "old-1": 3, "old-2": 2}, {"new": 10, "old-1": 6, "old-2": 4}),
        (12, 0, (10, 10), {"new": 5, "old-1": 3, "old-2": 2}, {"new": 6, "old-1": 4, "old-2": 2}),
        (20, 0, (10, 10), {"new": 1, "old-1": 8, "old-2": 1}, {"new": 2, "old-1": 16, "old-2": 2}),
        (10, 0, (5, 5), {"new": 2, "old-1": 3}, {"new": 4, "old-1": 6}),
        (3, 0, (5, 5), {"new": 2, "old-1": 3}, {"new": 1, "old-1": 2}),
        (4, 0, (9, 9), {"new": 8, "old-1": 1}, {"new": 4, "old-1": 0}),
        (10, 0, (7, 7), {"new": 2, "old-1": 3, "old-2": 2}, {"new": 3, "old-1": 4, "old-2": 3}),
        (8, 0, (13, 13), {"new": 2, "old-1": 8, "old-2": 3}, {"new": 1, "old-1": 5, "old-2": 2}),
        (14, 0, (10, 10), {"old-1": 7, "old-2": 3}, {"old-1": 10, "old-2": 4}),
        (5, 0, (4, 4), {"old-1": 2, "old-2": 2}, {"old-1": 3, "old-2": 2}),
        # The newer of two of a size grows first, the older shrinks first.
        (3, 0, (2, 2), {"new": 1, "old-1": 1}, {"new": 2, "old-1": 1}),
        (2, 0, (4, 4), {"new": 2, "old-1": 2}, {"new": 1, "old-1": 1}),
        (3, 0, (6, 6), {"new": 2, "old-1": 2, "old-2": 2}, {"new": 1, "old-1": 1, "old-2": 1}),
        (1, 0, (2, 2), {"new": 1, "old-1": 1}, {"new": 1, "old-1": 0}),
        # To nothing, surge or no surge; never below nothing.
        (0, 3, (6, 9), {"new": 3, "old-1": 2, "old-2": 1}, {"new": 0, "old-1": 0, "old-2": 0}),
        # With the surge of now on top.
        (20, 2, (10, 12), {"new": 6, "old-1": 6}, {"new": 11, "old-1": 11}),
        (50, "20%", (10, 12), {"new": 6, "old-1": 6}, {"new": 30, "old-1": 30}),
        (50, 6, (10, 13), {"new": 5, "old-1": 8}, {"new": 22, "old-1": 34}),
    ],
)
def test_a_new_number_is_shared_out_in_proportion(wanted, surge, before, found, after):
    ages = {"new": 9, "old-1": 2, "old-2": 1}
    sets = [
        having(name, number, available=0, sized=before, age=ages[name])
        for name, number in found.items()
    ]
    todo = look(wanting(wanted, surge=surge), *sets)
    assert {**found, **sized(todo)} == after
    told = {
        (item.annotations[revisions.DESIRED], item.annotations[revisions.MAXIMUM])
        for item in todo.change
    }
    assert told == {(str(wanted), str(wanted + sizes.bounds(wanting(wanted, surge=surge)).surge))}


def test_a_new_one_that_serves_in_full_leaves_nothing_to_old_ones_after_all_were_resized():
    new = having("new", 5, sized=(5, 6), age=2)
    late = having("old", 2, sized=(3, 4), age=1)
    assert sized(look(wanting(5), new, late)) == {"old": 0}


def test_a_size_that_nobody_can_read_was_never_told():
    odd = having("old", 2, age=1, **{revisions.DESIRED: "many"})
    new = having("new", 1, available=0, sized=(2, 3), age=2)
    assert not sizes.is_resized(wanting(2), new, [odd])


@pytest.mark.parametrize(
    ("found", "after"),
    [
        ({"new": 0}, {"new": 4}),
        ({"new": 0, "old-1": 0}, {"new": 4}),
        ({"old-1": 0, "old-2": 0}, {"old-1": 4}),
        ({"old-1": 2, "old-2": 0}, {"old-1": 4}),
        ({}, {}),
    ],
)
def test_while_paused_the_latest_that_has_pods_follows_the_number(found, after):
    ages = {"new": 9, "old-1": 2, "old-2": 1}
    sets = [having(name, number, sized=(0, 0), age=ages[name]) for name, number in found.items()]
    todo = look(wanting(4, paused=True), *sets)
    # The new one hears of the revision that it would have, and of nothing else.
    others = {name: number for name, number in sized(todo).items() if found[name] != number}
    assert (todo.create, others) == (None, after)


def test_a_paused_one_drops_history_but_starts_nothing():
    olds = [having(f"old-{at}", 0, age=at) for at in range(4)]
    todo = look(wanting(2, paused=True, revision_history_limit=1), having("old-9", 2, age=9), *olds)
    assert todo.create is None
    assert [item.metadata.name for item in todo.delete] == ["old-0", "old-1", "old-2", "old-3"]


@pytest.mark.parametrize(
    ("found", "limit", "gone"),
    [
        ([(0, 0), (0, 0), (0, 0)], 1, ["r0", "r1"]),
        ([(0, 0), (0, 1), (1, 0), (1, 1)], 0, ["r0"]),
        ([(0, 0), (0, 0)], 0, ["r0", "r1"]),
        ([(1, 1), (1, 1)], 0, []),
        ([(1, 1), (0, 0), (0, 0)], 2, []),
        ([(0, 0), (0, 0)], 2**31 - 1, []),
    ],
)
def test_history_is_dropped_from_its_beginning_where_it_is_empty(found, limit, gone):
    olds = [
        replace(having(f"r{at}", asked, age=at), status=ReplicaStatus(replicas=there))
        for at, (asked, there) in enumerate(found)
    ]
    dropped = revisions.outdated(wanting(1, revision_history_limit=limit), olds[::-1])
    assert [item.metadata.name for item in dropped] == gone


def test_the_history_of_revisions_is_cut_where_it_grows_too_long():
    earlier = ",".join(str(number) for number in range(1000, 1400))
    assert len(earlier) == revisions.HISTORY_CHARACTERS_MAX - 1
    new = having("new", 0, revision="1400", age=1, **{revisions.HISTORY: earlier})
    told = revisions.annotations(wanting(1), new, [having("old", 1, revision="1401")])
    assert told[REVISION] == "1402"
    assert told[revisions.HISTORY].startswith("1001,")
    assert told[revisions.HISTORY].endswith(",1399,1400")


def test_annotations_come_along_but_for_those_of_the_rollout_itself():
    notes = {
        "kubernetes.io/change-cause": "because",
        REVISION: "7",
        revisions.HISTORY: "1",
        revisions.DESIRED: "9",
        revisions.MAXIMUM: "9",
        revisions.LAST_APPLIED: "{}",
    }
    wanted = wanting(3, annotations=notes)
    born = changes.birth(wanted, [having("old", 3, revision="4")], 1)
    assert born.annotations == {
        "kubernetes.io/change-cause": "because",
        REVISION: "5",
        revisions.DESIRED: "3",
        revisions.MAXIMUM: "4",
    }


def test_finalizers_make_another_template():
    plain, held = template("v1"), template("v1", finalizers=("a/b",))
    assert revisions.fingerprint(plain) != revisions.fingerprint(held)
    assert revisions.template_hash(plain, None) != revisions.template_hash(held, None)


def test_until_the_last_old_pod_has_gone_a_recreated_one_tells_of_itself():
    done = Condition(type="Progressing", status="True", reason=progress.COMPLETE)
    before = DeploymentStatus(
        replicas=3, updated_replicas=0, observed_generation=1, conditions=(done,)
    )
    wanted = wanting(3, recreate=True, progress_deadline_seconds=60, status=before)
    going = replace(having("old", 0), status=ReplicaStatus(replicas=2))
    todo = look(wanted, going, running=["old"])
    said = progressing(todo.status)
    assert todo.create is None
    assert (said.reason, said.message) == ("ReplicaSetUpdated", 'Deployment "web" is progressing.')
    later = look(replace(wanted, status=todo.status), going, running=["old"], now=NOW + 61)
    said = progressing(later.status)
    assert (said.status, said.reason) == ("False", progress.TIMED_OUT)
    assert said.message == 'Deployment "web" has timed out progressing.'


def test_a_timed_out_rollout_is_not_forgotten_while_paused():
    stuck = Condition(type="Progressing", status="False", reason=progress.TIMED_OUT)
    wanted = wanting(3, paused=True, status=DeploymentStatus(conditions=(stuck,)))
    assert progressing(look(wanted, having("new", 3, available=0)).status) == stuck


def test_a_failure_to_make_pods_is_passed_on_with_its_time():
    refused = Condition(
        type=replicas.FAILURE,
        status="True",
        reason="FailedCreate",
        message="exceeded quota",
        last_transition_time=timestamps.render(NOW - 9),
    )
    new = having("new", 2, available=0)
    new = replace(new, status=replace(new.status, conditions=(refused,)))
    told = conditions.find(look(wanting(2), new).status.conditions, replicas.FAILURE)
    assert told == replace(refused, last_update_time=timestamps.render(NOW - 9))


class Refusing:
    """A cluster where no ReplicaSet can be made."""

    def __init__(self, wanted, found=()):
        self.it = wanted
        self.found = found
        self.written = []

    def find(self, key):
        return self.it

    def replicasets_near(self, deployment):
        return self.found

    def running(self, deployment):
        return frozenset()

    def now(self):
        return NOW

    def settled(self, key):
        return True

    async def roll(self, deployment, todo):
        return Forbidden("exceeded quota: few") if todo.create is not None else None

    async def write_status(self, deployment, status):
        self.written.append(status)
        self.it = replace(deployment, status=status)


async def test_why_no_replicaset_could_be_made_is_told_once():
    cluster = Refusing(wanting(2, status=DeploymentStatus(observed_generation=7)))
    controller = deployment.DeploymentController(cluster)
    for _ in range(2):
        with pytest.raises(Forbidden):
            await controller.reconcile(Key("a", "web"))
    (status,) = cluster.written
    said = progressing(status)
    assert (said.status, said.reason) == ("False", "ReplicaSetCreateError")
    name = look(cluster.it).create.name
    assert said.message == f'Failed to create new replica set "{name}": exceeded quota: few'
    assert status.observed_generation == 7


async def test_without_a_deadline_nothing_is_told_of_progress():
    cluster = Refusing(wanting(2, progress_deadline_seconds=2**31 - 1))
    with pytest.raises(Forbidden):
        await deployment.DeploymentController(cluster).reconcile(Key("a", "web"))
    assert cluster.written == []
