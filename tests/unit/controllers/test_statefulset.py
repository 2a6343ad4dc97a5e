"""StatefulSets: single steps as values, and whole lives through a pure simulation."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.services.controllers.workload import statefulset
from pilothouse.services.controllers.workload.stateful import claims, steps
from pilothouse.services.controllers.workload.statefulset import Observed
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import pods, revisions, statefulsets
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.revisions import POD_HASH, ControllerRevision
from pilothouse.services.machinery.kinds.statefulsets import (
    Ordinals,
    Retention,
    RollingUpdate,
    StatefulSet,
    StatefulSetSpec,
    UpdateStrategy,
)
from pilothouse.services.machinery.kinds.volumes import Claim
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Metadata, OwnerReference

NOW = 1_000_000.0
LABELS = {"app": "db"}
GOING = "2026-01-01T00:00:00Z"
OWNER = OwnerReference(
    api_version="apps/v1",
    kind="StatefulSet",
    name="db",
    uid="set",
    controller=True,
    block_owner_deletion=True,
)
replace = msgspec.structs.replace


def template(image):
    said = {
        "metadata": {"labels": LABELS},
        "spec": {"containers": [{"name": "c", "image": image}]},
    }
    return msgspec.Raw(msgspec.json.encode(said))


def wanting(number, image="v1", *, partition=0, unavailable=None, strategy="RollingUpdate", **more):
    rolling = RollingUpdate(partition=partition, max_unavailable=unavailable)
    status = more.pop("status", statefulsets.StatefulSetStatus())
    policy = "Parallel" if more.pop("parallel", False) else "OrderedReady"
    leaving = GOING if more.pop("leaving", False) else None
    return StatefulSet(
        metadata=Metadata(name="db", uid="set", generation=2, deletion_timestamp=leaving),
        spec=StatefulSetSpec(
            replicas=number,
            selector=LabelSelector(match_labels=LABELS),
            pod_management_policy=policy,
            update_strategy=UpdateStrategy(
                type=strategy, rolling_update=rolling if strategy == "RollingUpdate" else None
            ),
            template=template(image),
            **more,
        ),
        status=status,
    )


def kept(image, number):
    data = revisions.snapshot(template(image))
    return ControllerRevision(
        metadata=Metadata(name=f"db-{image}", labels=LABELS, owner_references=(OWNER,)),
        revision=number,
        data=msgspec.Raw(data),
    )


def pod(ordinal, image="v1", *, ready_ago=100.0, phase="Running", going=False, **more):
    name = f"db-{ordinal}"
    told = ()
    if ready_ago is not None and phase == "Running":
        since = timestamps.render(NOW - ready_ago)
        told = (Condition(type="Ready", status="True", last_transition_time=since),)
    metadata = {
        "labels": {**LABELS, POD_HASH: f"db-{image}", statefulsets.POD_NAME: name},
        "owner_references": (OWNER,),
        "uid": name,
        "deletion_timestamp": GOING if going else None,
    }
    return Pod(
        metadata=Metadata(name=name, **(metadata | more)),
        status=pods.Status(phase=phase, conditions=told),
    )


def look(stateful, *members, history=None, found=(), held=None):
    history = [kept("v1", 1), kept("v2", 2)] if history is None else history
    named = {item.metadata.name: item for item in found}
    return statefulset.plan(stateful, Observed(members, history, named), held or {}, NOW)


def made(todo):
    return [birth.ordinal for birth in todo.create]


def deleted(todo):
    return [item.metadata.name for item in todo.delete]


def test_pods_are_made_one_after_the_other():
    assert made(look(wanting(3))) == [0]
    assert made(look(wanting(3), pod(0, ready_ago=None))) == []
    assert made(look(wanting(3), pod(0))) == [1]
    assert made(look(wanting(3), pod(0), pod(1), pod(2))) == []


def test_in_parallel_all_are_made_and_removed_at_once():
    assert made(look(wanting(3, parallel=True), pod(1, ready_ago=None))) == [0, 2]
    todo = look(wanting(1, parallel=True), *(pod(number, ready_ago=None) for number in range(4)))
    assert deleted(todo) == ["db-3", "db-2", "db-1"]


def test_ordinals_start_where_they_are_told_to():
    stateful = wanting(2, ordinals=Ordinals(start=5))
    assert made(look(stateful)) == [5]
    todo = look(stateful, pod(5), pod(6), pod(0))
    assert deleted(todo) == ["db-0"]


def test_the_highest_goes_first_and_waits_for_the_others():
    assert deleted(look(wanting(1), pod(0), pod(1), pod(2))) == ["db-2"]
    assert deleted(look(wanting(1), pod(0), pod(1), pod(2, going=True))) == []
    assert deleted(look(wanting(1), pod(0), pod(1, ready_ago=None), pod(2))) == ["db-2"]
    assert deleted(look(wanting(1), pod(0), pod(1), pod(2, ready_ago=None))) == ["db-2"]
    assert deleted(look(wanting(1), pod(0, ready_ago=None), pod(1), pod(2))) == []


def test_an_unhealthy_pod_halts_the_removal_of_another_unhealthy_one():
    todo = look(wanting(1), pod(0), pod(1, ready_ago=None), pod(2, ready_ago=None))
    assert deleted(todo) == []


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_ended_pods_are_made_anew(phase):
    todo = look(wanting(2), pod(0, phase=phase), pod(1))
    assert (deleted(todo), made(todo)) == (["db-0"], [])
    going = look(wanting(2), pod(0, phase=phase, going=True), pod(1))
    assert (deleted(going), made(going)) == ([], [])
    held = look(wanting(2), pod(0, phase=phase), pod(1), held={"db-0": 4.0})
    assert (deleted(held), held.again_after) == ([], 4.0)


def test_an_update_goes_from_the_highest_number_down():
    wanted = wanting(3, "v2")
    assert deleted(look(wanted, pod(0), pod(1), pod(2))) == ["db-2"]
    assert deleted(look(wanted, pod(0), pod(1), pod(2, "v2"))) == ["db-1"]
    assert deleted(look(wanted, pod(0), pod(1), pod(2, "v2", ready_ago=None))) == []


def test_a_partition_is_not_crossed():
    wanted = wanting(3, "v2", partition=2)
    assert deleted(look(wanted, pod(0), pod(1), pod(2))) == ["db-2"]
    assert deleted(look(wanted, pod(0), pod(1), pod(2, "v2"))) == []


def test_below_the_partition_pods_are_made_from_the_revision_before():
    status = statefulsets.StatefulSetStatus(current_revision="db-v1")
    wanted = wanting(3, "v2", partition=1, status=status)
    below = look(wanted, pod(1, "v2"), pod(2, "v2")).create[0]
    assert (below.ordinal, below.revision) == (0, "db-v1")
    assert msgspec.json.decode(below.template) == msgspec.json.decode(template("v1"))
    above = look(wanted, pod(0), pod(2, "v2")).create[0]
    assert (above.ordinal, above.revision) == (1, "db-v2")


def test_more_than_one_may_be_replaced_at_a_time():
    wanted = wanting(5, "v2", unavailable=2)
    full = [pod(number) for number in range(5)]
    assert deleted(look(wanted, *full)) == ["db-4", "db-3"]
    assert steps.max_unavailable(wanting(5, unavailable="50%")) == 2
    assert steps.max_unavailable(wanting(1, unavailable="10%")) == 1


def test_what_does_not_serve_counts_as_missing_wherever_it_is():
    wanted = wanting(3, "v2", parallel=True)
    idle = pod(0, ready_ago=None)
    assert deleted(look(wanted, idle, pod(1), pod(2))) == ["db-0"]
    assert deleted(look(wanted, pod(0, "v2", ready_ago=None), pod(1), pod(2))) == []
    partly = wanting(3, "v2", parallel=True, partition=1)
    assert deleted(look(partly, idle, pod(1), pod(2))) == []
    assert deleted(look(partly, pod(0), pod(1, ready_ago=None), pod(2))) == ["db-1"]


@pytest.mark.parametrize(
    ("unavailable", "idle", "gone"),
    [
        (1, {0}, ["db-0"]),
        (1, {0, 2}, ["db-2", "db-0"]),
        (2, {0, 2}, ["db-2", "db-0"]),
        (3, {0, 2}, ["db-2", "db-0", "db-4"]),
        (1, {0, 1, 2, 3, 4}, ["db-4", "db-3", "db-2", "db-1", "db-0"]),
        (2, set(), ["db-4", "db-3"]),
    ],
)
def test_in_parallel_old_pods_that_do_not_serve_go_at_once(unavailable, idle, gone):
    wanted = wanting(5, "v2", parallel=True, unavailable=unavailable)
    members = [pod(at, ready_ago=None if at in idle else 100.0) for at in range(5)]
    assert deleted(look(wanted, *members)) == gone


def test_ended_pods_beyond_the_number_do_not_wait_for_each_other():
    ended = [pod(at, phase="Failed") for at in (1, 2)]
    assert deleted(look(wanting(1), pod(0), *ended)) == ["db-2"]
    idle = [pod(at, ready_ago=None) for at in (1, 2)]
    assert deleted(look(wanting(1), pod(0), *idle)) == []


def test_in_order_a_broken_pod_is_left_to_its_owner():
    broken = pod(1, "v2", ready_ago=None)
    back = look(wanting(2, "v1"), pod(0), broken, history=[kept("v1", 1), kept("v2", 2)])
    assert (deleted(back), made(back)) == ([], [])
    assert back.history.wanted.number == 3
    taken_away = look(wanting(2, "v1"), pod(0), history=[kept("v1", 3), kept("v2", 2)])
    assert [birth.revision for birth in taken_away.create] == ["db-v1"]


def test_on_delete_replaces_nothing_by_itself():
    wanted = wanting(2, "v2", strategy="OnDelete")
    assert deleted(look(wanted, pod(0), pod(1))) == []
    assert look(wanted, pod(0)).create[0].revision == "db-v2"


def test_one_on_its_way_out_only_tells_how_things_are():
    todo = look(wanting(3, leaving=True), pod(0), pod(1, phase="Failed"))
    assert (todo.create, todo.delete, todo.history.wanted) == ((), (), None)
    assert todo.status.replicas == 2


def test_min_ready_seconds_hold_up_the_next():
    stateful = wanting(2, min_ready_seconds=30)
    todo = look(stateful, pod(0, ready_ago=10))
    assert (made(todo), todo.again_after) == ([], 20)
    assert (todo.status.ready_replicas, todo.status.available_replicas) == (1, 0)


def test_an_update_that_has_arrived_becomes_current():
    status = statefulsets.StatefulSetStatus(current_revision="db-v1")
    half = look(wanting(2, "v2", status=status), pod(0), pod(1, "v2")).status
    assert (half.current_revision, half.update_revision) == ("db-v1", "db-v2")
    assert (half.current_replicas, half.updated_replicas) == (1, 1)
    done = look(wanting(2, "v2", status=status), pod(0, "v2"), pod(1, "v2")).status
    assert (done.current_revision, done.current_replicas) == ("db-v2", 2)


def test_a_template_met_before_gets_the_next_number():
    history = [kept("v1", 1), kept("v2", 2)]
    todo = look(wanting(1, "v1"), pod(0), history=history)
    assert todo.history.wanted.present is history[0]
    assert (todo.history.wanted.number, revisions.is_new(todo.history.wanted)) == (3, True)
    same = look(wanting(1, "v2"), pod(0), history=history)
    assert not revisions.is_new(same.history.wanted)


def test_revisions_of_no_pod_are_dropped_beyond_the_limit():
    history = [kept(f"v{number}", number) for number in range(1, 6)]
    stateful = wanting(1, "v5", revision_history_limit=1)
    todo = look(stateful, pod(0, "v2"), history=history)
    assert [item.metadata.name for item in todo.history.delete] == ["db-v1", "db-v3"]


def test_only_pods_with_a_name_of_the_set_are_its_own():
    free = pod(1, owner_references=())
    strangers = [pod(end, owner_references=()) for end in ("x", "01", "9" * 20, "-1")]
    todo = look(wanting(2), pod(0), free, *strangers)
    assert [item.metadata.name for item in todo.members.adopt] == ["db-1"]
    assert todo.create == ()


def test_a_pod_that_lost_its_name_label_gets_it_back():
    todo = look(wanting(1), pod(0, labels={**LABELS, POD_HASH: "db-v1"}))
    assert [item.metadata.name for item in todo.rename] == ["db-0"]


DATA = msgspec.Raw(b'{"metadata":{"name":"data"},"spec":{}}')


def keeping(when_deleted="Retain", when_scaled="Retain", number=2):
    policy = Retention(when_deleted=when_deleted, when_scaled=when_scaled)
    return wanting(
        number,
        volume_claim_templates=(DATA,),
        persistent_volume_claim_retention_policy=policy,
    )


def claim(ordinal, *owners, going=False):
    return Claim(
        metadata=Metadata(
            name=f"data-db-{ordinal}",
            owner_references=tuple(owners),
            deletion_timestamp=GOING if going else None,
        )
    )


def of_pod(ordinal, uid=None):
    return OwnerReference(
        api_version="v1",
        kind="Pod",
        name=f"db-{ordinal}",
        uid=uid or f"db-{ordinal}",
        controller=True,
        block_owner_deletion=True,
    )


def test_claims_come_with_their_pods():
    todo = look(keeping())
    assert [(birth.name, birth.owners) for birth in todo.claim] == [("data-db-0", ())]
    kept_ = look(keeping(), found=[claim(0)])
    assert (made(kept_), kept_.claim) == ([0], ())
    with_set = look(keeping(when_deleted="Delete"))
    assert with_set.claim[0].owners == (OWNER,)


def test_a_pending_pod_gets_the_claim_it_waits_for():
    todo = look(keeping(), pod(0, phase="Pending"))
    assert [birth.name for birth in todo.claim] == ["data-db-0"]


def test_a_pod_waits_until_its_old_claim_is_gone():
    assert made(look(keeping(), found=[claim(0, going=True)])) == []
    left = claim(0, of_pod(0, "earlier"))
    assert made(look(keeping(when_scaled="Delete"), found=[left])) == []
    assert made(look(keeping(), found=[left])) == [0]


@pytest.mark.parametrize(
    ("policy", "kept_owners", "condemned_owners"),
    [
        (("Retain", "Retain"), (), ()),
        (("Delete", "Retain"), (OWNER,), (OWNER,)),
        (("Retain", "Delete"), (), (of_pod(1),)),
        (("Delete", "Delete"), (OWNER,), (of_pod(1),)),
    ],
)
def test_who_owns_the_claims(policy, kept_owners, condemned_owners):
    stranger = OwnerReference(api_version="v1", kind="Pod", name="db-0", uid="db-0")
    stateful = keeping(*policy, number=1)
    todo = look(stateful, pod(0), pod(1), found=[claim(0, stranger), claim(1)])
    owned = {item.claim.metadata.name: item.owners for item in todo.own}
    assert owned.get("data-db-0", ()) == kept_owners
    assert owned.get("data-db-1", ()) == condemned_owners
    settled = [claim(0, *kept_owners), claim(1, *condemned_owners)]
    assert look(stateful, pod(0), pod(1), found=settled).own == ()


def test_claims_of_others_are_left_alone():
    other = OwnerReference(api_version="v1", kind="ConfigMap", name="x", uid="x", controller=True)
    stateful = keeping("Delete", "Delete")
    assert look(stateful, pod(0), pod(1), found=[claim(0, other)]).own == ()
    stale = replace(OWNER, uid="earlier")
    assert look(stateful, pod(0), pod(1), found=[claim(0, stale)]).own == ()
    [shared] = look(stateful, pod(0), pod(1), found=[claim(0, other, OWNER)]).own
    assert shared.owners == (other,)
    assert claims.is_controlled_by_another(stateful, shared)
    [condemned] = look(keeping("Retain", "Delete", number=1), pod(1), found=[claim(1)]).own
    assert not claims.is_controlled_by_another(stateful, condemned)


class Simulation:
    """Pods that come up, fail and go as the rules of a test say."""

    def __init__(self, stateful):
        self.stateful = stateful
        self.members = {}
        self.history = []

    def step(self):
        seen = Observed(list(self.members.values()), self.history, {})
        todo = statefulset.plan(self.stateful, seen, {}, NOW)
        for item in todo.delete:
            name = item.metadata.name
            metadata = replace(item.metadata, deletion_timestamp=GOING)
            self.members[name] = replace(item, metadata=metadata)
        for birth in todo.create:
            image = birth.revision.removeprefix("db-")
            assert f"db-{birth.ordinal}" not in self.members
            self.members[f"db-{birth.ordinal}"] = pod(birth.ordinal, image, ready_ago=None)
        wanted = todo.history.wanted
        if wanted is not None and revisions.is_new(wanted):
            self.remember(wanted)
        gone = {item.metadata.name for item in todo.history.delete}
        self.history = [item for item in self.history if item.metadata.name not in gone]
        self.stateful = replace(self.stateful, status=todo.status)
        return todo

    def remember(self, wanted):
        others = [item for item in self.history if item is not wanted.present]
        born = ControllerRevision(
            metadata=Metadata(name=wanted.name, labels=LABELS, owner_references=(OWNER,)),
            revision=wanted.number,
            data=msgspec.Raw(wanted.data),
        )
        self.history = [*others, born]

    def end(self, name):
        self.members.pop(name, None)

    def serve(self, name, ready_ago):
        if name in self.members and not self.members[name].metadata.deleting:
            before = self.members[name]
            image = before.metadata.labels[POD_HASH].removeprefix("db-")
            ordinal = statefulsets.ordinal_of(self.stateful, name)
            self.members[name] = pod(ordinal, image, ready_ago=ready_ago)

    def serving(self):
        found = [item for item in self.members.values() if not item.metadata.deleting]
        return sum(pods.is_ready(item) for item in found)

    def settle(self):
        for _ in range(400):
            before = (dict(self.members), list(self.history), self.stateful)
            todo = self.step()
            for name, item in list(self.members.items()):
                if item.metadata.deleting:
                    self.end(name)
                else:
                    self.serve(name, 100.0)
            if before == (self.members, self.history, self.stateful):
                assert (todo.create, todo.delete, todo.history.delete) == ((), (), ())
                return
        raise AssertionError("it never comes to rest")


ACTS = st.lists(
    st.tuples(st.sampled_from(["fail", "step", "end", "serve"]), st.integers(0, 4)), max_size=40
)


@settings(deadline=None)
@given(
    st.integers(0, 5), st.integers(0, 5), st.booleans(), st.integers(0, 5), st.integers(1, 3), ACTS
)
def test_whatever_happens_it_ends_well(number, then, parallel, partition, unavailable, acts):
    run = Simulation(wanting(number, parallel=parallel, unavailable=unavailable))
    run.settle()
    assert sorted(run.members) == sorted(f"db-{at}" for at in range(number))
    before = run.stateful.status.current_revision
    run.stateful = replace(
        run.stateful,
        spec=wanting(
            then, "v2", parallel=parallel, partition=partition, unavailable=unavailable
        ).spec,
    )
    for act, at in acts:
        name = f"db-{at}"
        if act == "step":
            watch_limits(run, then, partition, unavailable)
        elif act == "end":
            if name in run.members and run.members[name].metadata.deleting:
                run.end(name)
        else:
            run.serve(name, 100.0 if act == "serve" else None)
    run.settle()
    assert sorted(run.members) == sorted(f"db-{at}" for at in range(then))
    update = run.stateful.status.update_revision
    for at in range(then):
        found = run.members[f"db-{at}"].metadata.labels[POD_HASH]
        assert found == update if at >= partition else found in {before, update}


def watch_limits(run, number, partition, unavailable):
    """No step takes a serving pod away beyond the limit, or one below the partition."""
    present = dict(run.members)
    serving = run.serving()
    todo = run.step()
    for item in todo.delete:
        at = statefulsets.ordinal_of(run.stateful, item.metadata.name)
        assert at >= min(partition, number)
    inside = {f"db-{at}" for at in range(partition, number)}
    lost = [item for item in todo.delete if item.metadata.name in inside and pods.is_ready(item)]
    if lost:
        wanted_serving = sum(
            pods.is_ready(present[name]) and not present[name].metadata.deleting
            for name in inside & present.keys()
        )
        assert wanted_serving - len(lost) >= number - partition - unavailable
    assert serving - run.serving() == sum(pods.is_ready(item) for item in todo.delete)
    if run.stateful.spec.pod_management_policy != "Parallel":
        assert len(todo.create) <= 1
