"""ReplicaSet and ReplicationController: how many pods, which of them go, whose they are."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers.workload import replicaset, replicationcontroller
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.errors import Forbidden
from pilothouse.services.machinery.kinds import pods, replicas
from pilothouse.services.machinery.kinds.pods import ContainerStatus, Pod, PodTemplate
from pilothouse.services.machinery.kinds.replicas import BURST_MAX, Plan
from pilothouse.services.machinery.kinds.workloads import (
    ReplicaSet,
    ReplicaSetSpec,
    ReplicaStatus,
    ReplicationController,
    ReplicationControllerSpec,
)
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Metadata, OwnerReference

NOW = 1_000_000.0
LABELS = {"app": "web"}
replace = msgspec.structs.replace


def owner(uid="rs", *, controller=True):
    return OwnerReference(
        api_version="apps/v1", kind="ReplicaSet", name="web", uid=uid, controller=controller
    )


def pod(name, *, owners=(), ready_ago=None, node="", phase="Pending", **more):
    told = ()
    if ready_ago is not None:
        since = timestamps.render(NOW - ready_ago)
        told = (Condition(type="Ready", status="True", last_transition_time=since),)
    metadata = {"labels": LABELS, "owner_references": tuple(owners), "uid": name}
    restarts = more.pop("restarts", 0)
    status = pods.Status(
        phase=phase,
        conditions=told,
        container_statuses=(ContainerStatus(name="c", restart_count=restarts),),
    )
    return Pod(
        metadata=Metadata(name=name, **(metadata | more)),
        spec=pods.Spec(node_name=node),
        status=status,
    )


def owned(name, **more):
    return pod(name, owners=(owner(),), **more)


def wanting(number, *, min_ready_seconds=0, **metadata):
    return ReplicaSet(
        metadata=Metadata(name="web", uid="rs", generation=3, **metadata),
        spec=ReplicaSetSpec(
            replicas=number,
            min_ready_seconds=min_ready_seconds,
            selector=LabelSelector(match_labels=LABELS),
            template=PodTemplate(metadata=Metadata(labels=LABELS)),
        ),
    )


def deleted(todo: Plan):
    return [item.metadata.name for item in todo.delete]


def test_missing_pods_are_created_and_the_burst_is_bounded():
    assert replicaset.plan(wanting(3), [owned("a")], NOW).create == 2
    assert replicaset.plan(wanting(9000), [], NOW).create == BURST_MAX


def test_pods_that_ended_or_are_going_do_not_count():
    ended = owned("a", phase="Failed")
    going = owned("b", deletion_timestamp="2026-01-01T00:00:00Z")
    todo = replicaset.plan(wanting(1), [ended, going], NOW)
    assert todo.create == 1
    assert (todo.status.replicas, todo.status.terminating_replicas) == (0, 1)


def test_one_on_its_way_out_neither_creates_nor_deletes_nor_adopts():
    leaving = wanting(5, deletion_timestamp="2026-01-01T00:00:00Z")
    todo = replicaset.plan(leaving, [owned("a"), pod("free")], NOW)
    assert (todo.create, todo.delete, todo.adopt) == (0, (), ())


def test_free_pods_are_adopted_and_strangers_released():
    stray = owned("stray", labels={"app": "other"})
    foreign = pod("foreign", owners=(owner("another"),))
    todo = replicaset.plan(wanting(2), [pod("free"), stray, foreign], NOW)
    assert [item.metadata.name for item in todo.adopt] == ["free"]
    assert [item.metadata.name for item in todo.release] == ["stray"]
    assert todo.create == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (owned("z"), owned("a", node="n")),
        (owned("z", node="n"), owned("a", node="n", phase="Running")),
        (
            owned("z", node="n", phase="Running"),
            owned("a", node="n", phase="Running", ready_ago=1),
        ),
        (
            owned("z", node="n", phase="Running", ready_ago=5),
            owned("a", node="n", phase="Running", ready_ago=50),
        ),
        (
            owned("z", node="n", phase="Running", ready_ago=5, restarts=4),
            owned("a", node="n", phase="Running", ready_ago=5),
        ),
        (
            owned("z", creation_timestamp="2026-01-02T00:00:00Z"),
            owned("a", creation_timestamp="2026-01-01T00:00:00Z"),
        ),
        (
            owned("z", annotations={replicas.DELETION_COST: "-5"}),
            owned("a"),
        ),
    ],
    ids=["unassigned", "pending", "not ready", "ready later", "restarts", "younger", "cheaper"],
)
def test_whose_loss_costs_least_goes_first(first, second):
    assert deleted(replicaset.plan(wanting(1), [second, first], NOW)) == ["z"]


def test_a_crowded_node_is_relieved():
    found = [
        owned(name, node=node, phase="Running", ready_ago=5)
        for name, node in (("a", "one"), ("y", "two"), ("z", "two"))
    ]
    assert deleted(replicaset.plan(wanting(2), found, NOW)) == ["y"]


def test_availability_waits_for_min_ready_seconds():
    found = [owned("a", ready_ago=40), owned("b", ready_ago=10), owned("c")]
    todo = replicaset.plan(wanting(3, min_ready_seconds=30), found, NOW)
    assert todo.again_after == 20
    assert todo.status == ReplicaStatus(
        replicas=3,
        fully_labeled_replicas=3,
        ready_replicas=2,
        available_replicas=1,
        terminating_replicas=0,
        observed_generation=3,
    )


def test_a_replication_controller_promises_the_same():
    controller = ReplicationController(
        metadata=Metadata(name="web", uid="rs"),
        spec=ReplicationControllerSpec(replicas=2, selector=LABELS),
    )
    assert replicationcontroller.plan(controller, [owned("a")], NOW).create == 1
    nobody = replace(controller, spec=ReplicationControllerSpec(replicas=1, selector={}))
    assert replicationcontroller.plan(nobody, [pod("free")], NOW).adopt == ()


def test_a_refusal_is_told_once_and_taken_back():
    status = replicas.with_failure(ReplicaStatus(), Forbidden("quota"), NOW)
    assert status.conditions[0].message == "quota"
    assert replicas.with_failure(status, Forbidden("quota"), NOW + 9) == status
    assert replicas.with_failure(status, None, NOW).conditions == ()


POD = st.builds(
    lambda number, node, phase, ready, kind, fits: pod(
        f"p{number}",
        owners=() if kind == "free" else (owner("rs" if kind == "own" else "else"),),
        node=node,
        phase=phase,
        ready_ago=ready,
        labels=LABELS if fits else {},
    ),
    st.integers(0, 60),
    st.sampled_from(["", "n1", "n2"]),
    st.sampled_from(["Pending", "Running", "Failed"]),
    st.sampled_from([None, 1, 100]),
    st.sampled_from(["own", "free", "foreign"]),
    st.booleans(),
)


@given(st.integers(0, 12), st.lists(POD, unique_by=lambda item: item.metadata.name, max_size=20))
def test_carried_out_a_plan_leaves_nothing_to_do(number, found):
    replicaset_ = wanting(number)
    todo = replicaset.plan(replicaset_, found, NOW)
    after = replicaset.plan(replicaset_, carried_out(todo, found), NOW)
    assert (after.create, after.delete, after.adopt, after.release) == (0, (), (), ())
    assert after.status.replicas == number


def carried_out(todo: Plan, found):
    gone = {item.metadata.name for item in todo.delete}
    adopted = {item.metadata.name for item in todo.adopt}
    released = {item.metadata.name for item in todo.release}
    after = []
    for item in found:
        name = item.metadata.name
        if name in gone:
            continue
        owners = item.metadata.owner_references
        owners = (owner(),) if name in adopted else () if name in released else owners
        after.append(replace(item, metadata=replace(item.metadata, owner_references=owners)))
    return after + [owned(f"new{number}") for number in range(todo.create)]


def test_not_being_able_to_delete_is_another_failure():
    told = replicas.with_failure(ReplicaStatus(), Forbidden("no"), NOW, creating=False)
    assert [item.reason for item in told.conditions] == ["FailedDelete"]


@pytest.mark.parametrize("cost", ["--5", "five", "", "1.5", "-"])
def test_a_cost_that_nobody_can_read_is_none(cost):
    odd = owned("a", annotations={replicas.DELETION_COST: cost})
    cheap = owned("z", annotations={replicas.DELETION_COST: "-1"})
    assert deleted(replicaset.plan(wanting(1), [odd, cheap], NOW)) == ["z"]


def restarted(name, *containers, sidecar=0):
    """A pod whose containers, and whose one sidecar, were restarted that often."""
    there = owned(name, node="n", phase="Running", ready_ago=5)
    counts = [ContainerStatus(name=f"c{at}", restart_count=it) for at, it in enumerate(containers)]
    beside = [ContainerStatus(name="init", restart_count=99)]
    beside.append(ContainerStatus(name="sidecar", restart_count=sidecar))
    init = (
        pods.Container(name="init"),
        pods.Container(name="sidecar", restart_policy="Always"),
    )
    return replace(
        there,
        spec=replace(there.spec, init_containers=init),
        status=replace(
            there.status,
            container_statuses=tuple(counts),
            init_container_statuses=tuple(beside),
        ),
    )


def test_of_restarts_the_container_that_had_most_counts_and_then_the_sidecar():
    often, widely = restarted("z", 5, 0), restarted("a", 3, 3)
    assert deleted(replicaset.plan(wanting(1), [widely, often], NOW)) == ["z"]
    wobbly, steady = restarted("z", 1, sidecar=2), restarted("a", 1, sidecar=1)
    assert deleted(replicaset.plan(wanting(1), [steady, wobbly], NOW)) == ["z"]


def test_pods_of_siblings_crowd_a_node_as_well():
    lone, close = [
        owned(name, node=node, phase="Running", ready_ago=5)
        for name, node in (("a", "one"), ("z", "two"))
    ]
    sibling = pod("s", owners=(owner("sibling"),), node="two", phase="Running")
    ended = [pod(f"e{at}", node="one", phase="Failed") for at in range(3)]
    todo = replicaset.plan(wanting(1), [lone, close], NOW, [sibling, *ended])
    assert deleted(todo) == ["z"]
    assert todo.status.replicas == 2


def test_one_on_its_way_out_counts_only_what_it_selects():
    leaving = wanting(5, deletion_timestamp="2026-01-01T00:00:00Z")
    todo = replicaset.plan(leaving, [owned("a"), owned("stray", labels={})], NOW)
    assert (todo.status.replicas, todo.release) == (1, ())
