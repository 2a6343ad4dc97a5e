"""Garbage: the graph of owners, and what happens to an item when they go."""

import msgspec
import pytest

from pilothouse.services.controllers.garbage.collector import NOTHING, Owner, Plan, State, plan
from pilothouse.services.controllers.garbage.graph import FOREGROUND, ORPHAN, Graph, Item, is_meant
from pilothouse.services.machinery.objects import Metadata, OwnerReference
from pilothouse.services.machinery.resources import NODES, PODS, REPLICA_SETS

GONE = "2026-01-01T00:00:00Z"
replace = msgspec.structs.replace


def metadata(uid, *owners, deleting=False, finalizers=(), blocks=True):
    references = tuple(
        OwnerReference(
            api_version="apps/v1",
            kind="ReplicaSet",
            name=owner,
            uid=owner,
            block_owner_deletion=blocks,
        )
        for owner in owners
    )
    return Metadata(
        name=uid,
        uid=uid,
        owner_references=references,
        deletion_timestamp=GONE if deleting else None,
        finalizers=finalizers,
    )


def item(uid, *owners, **more):
    return Item(PODS, metadata(uid, *owners, **more))


SOLID, ABSENT, WAITING = (Owner(state.value, state) for state in State)


@pytest.mark.parametrize(
    ("owners", "dependents", "todo"),
    [
        ((), (), NOTHING),
        ((SOLID,), (), Plan()),
        ((ABSENT,), (), Plan(policy="Background")),
        ((SOLID, ABSENT), (), Plan(drop=frozenset({"absent"}))),
        ((SOLID, WAITING), (), Plan(drop=frozenset({"waiting"}))),
        ((WAITING,), (), Plan(policy="Background")),
        ((WAITING,), (item("child", "it"),), Plan(policy="Foreground")),
        (
            (WAITING,),
            (item("child", "it", deleting=True, finalizers=(FOREGROUND,)),),
            Plan(policy="Foreground", unblock=True),
        ),
    ],
    ids=["free", "owned", "lost", "half lost", "half waited for", "leaf", "branch", "circle"],
)
def test_what_becomes_of_an_item(owners, dependents, todo):
    assert plan(item("it"), owners, dependents) == todo


def test_the_way_it_was_being_deleted_is_kept():
    orphaning = item("it", finalizers=(ORPHAN,))
    assert plan(orphaning, (ABSENT,), ()).policy == "Orphan"
    assert plan(item("it", finalizers=(FOREGROUND,)), (ABSENT,), ()).policy == "Foreground"
    below = (item("child", "it"),)
    assert plan(orphaning, (WAITING,), below).policy == "Foreground"


def test_in_the_foreground_it_waits_for_those_that_block_it():
    leaving = item("it", deleting=True, finalizers=(FOREGROUND,))
    assert plan(leaving, (), (item("child", "it"),)) == NOTHING
    assert plan(leaving, (), (item("child", "it", blocks=False),)).release == FOREGROUND
    assert plan(leaving, (), ()).release == FOREGROUND


def test_in_the_foreground_it_waits_neither_for_itself_nor_for_an_owner_that_waits():
    own = item("it", "it", deleting=True, finalizers=(FOREGROUND,))
    assert plan(own, (), (own,)).release == FOREGROUND
    leaving = item("it", "other", deleting=True, finalizers=(FOREGROUND,))
    other = item("other", "it", deleting=True, finalizers=(FOREGROUND,))
    assert plan(leaving, (), (other,)).release == FOREGROUND
    assert plan(leaving, (), (item("other", "it"),)) == NOTHING


def test_orphaning_frees_the_dependents_first():
    child = item("child", "it")
    leaving = item("it", deleting=True, finalizers=(ORPHAN,))
    assert plan(leaving, (), (child,)) == Plan(disown=(child,), release=ORPHAN)


def test_what_is_simply_leaving_is_left_alone():
    assert plan(item("it", deleting=True), (ABSENT,), ()) == NOTHING


def test_a_deleted_owner_concerns_its_dependents():
    graph = Graph()
    graph.put(REPLICA_SETS, metadata("rs"))
    assert graph.put(PODS, metadata("pod", "rs")) == set()
    assert graph.remove("rs") == {"pod"}
    assert [found.metadata.uid for found in graph.dependents("rs")] == ["pod"]


def test_an_owner_nobody_has_seen_is_looked_into():
    graph = Graph()
    assert graph.put(PODS, metadata("pod", "rs")) == {"pod"}


def test_a_waiting_owner_concerns_all_below_and_hears_of_their_end():
    graph = Graph()
    graph.put(REPLICA_SETS, metadata("rs"))
    graph.put(PODS, metadata("pod", "rs"))
    waiting = metadata("rs", deleting=True, finalizers=(FOREGROUND,))
    assert graph.put(REPLICA_SETS, waiting) == {"rs", "pod"}
    assert graph.remove("pod") == {"rs"}
    assert graph.dependents("rs") == []


def test_an_owner_in_another_place_is_none():
    graph = Graph()
    elsewhere = replace(metadata("rs"), namespace="there")
    graph.put(REPLICA_SETS, elsewhere)
    child = replace(metadata("pod", "rs"), namespace="here")
    assert graph.put(PODS, child) == {"pod"}
    [reference] = child.owner_references
    assert not is_meant(Item(REPLICA_SETS, elsewhere), reference, "here")
    assert is_meant(Item(REPLICA_SETS, elsewhere), reference, "there")
    renamed = replace(reference, name="other")
    assert not is_meant(Item(REPLICA_SETS, elsewhere), renamed, "there")
    of_another_kind = replace(reference, kind="Deployment")
    assert not is_meant(Item(REPLICA_SETS, elsewhere), of_another_kind, "there")
    of_another_group = replace(reference, api_version="apps.example.com/v1")
    assert not is_meant(Item(REPLICA_SETS, elsewhere), of_another_group, "there")
    newer = replace(reference, api_version="apps/v2")
    assert is_meant(Item(REPLICA_SETS, elsewhere), newer, "there")


def test_an_owner_of_the_cluster_may_own_in_every_namespace():
    node = replace(metadata("n1"), name="n1")
    reference = OwnerReference(api_version="v1", kind="Node", name="n1", uid="n1")
    assert is_meant(Item(NODES, node), reference, "anywhere")
    assert is_meant(Item(NODES, node), reference, "")


def test_who_names_an_owner_of_a_kind_is_found():
    graph = Graph()
    graph.put(PODS, metadata("pod", "rs"))
    graph.put(PODS, metadata("free"))
    assert graph.naming("apps", "ReplicaSet") == ["pod"]
    assert graph.naming("apps", "Deployment") == []


def test_a_dependent_that_gave_up_its_owner_is_forgotten():
    graph = Graph()
    graph.put(PODS, metadata("pod", "rs"))
    graph.put(PODS, metadata("pod"))
    assert graph.remove("rs") == set()
    assert graph.dependents("rs") == []
    assert graph.uids() == ["pod"]
