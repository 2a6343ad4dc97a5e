"""Pods with claims: what they wait for, where they may be, and what is written before they go."""

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from kit.scheduling import node, pod

from pilothouse.services.machinery.kinds.volumes import Claim, PersistentVolume, StorageClass
from pilothouse.services.machinery.objects import Key
from pilothouse.services.scheduler import volumechoice
from pilothouse.services.scheduler.scheduler import Scheduler

LATE = {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}
MADE = {"provisioner": "x.io/y", "volumeBindingMode": "WaitForFirstConsumer"}
DONE = {"pv.kubernetes.io/bind-completed": "yes"}


def claim(name="data", volume="", *, notes=None, bound=False, modes=("ReadWriteOnce",), **spec):
    requests = {"requests": {"storage": "1Gi"}}
    told = {"accessModes": modes, "resources": requests, "volumeName": volume, **spec}
    annotations = {**(DONE if bound else {}), **(notes or {})}
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}"}
    return msgspec.convert(
        {"metadata": metadata | {"annotations": annotations}, "spec": told}, Claim
    )


def volume(name, *nodes, size="1Gi", labels=None, storage_class="", **spec):
    told = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, **spec}
    if nodes:
        wanted = {"key": "kubernetes.io/hostname", "operator": "In", "values": list(nodes)}
        terms = [{"matchExpressions": [wanted]}]
        told["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
    metadata = {"name": name, "labels": labels or {}}
    told["storageClassName"] = storage_class
    body = {"metadata": metadata, "spec": told, "status": {"phase": "Available"}}
    return msgspec.convert(body, PersistentVolume)


def storage_class(name, **told):
    return msgspec.convert({"metadata": {"name": name}, **told}, StorageClass)


def user(name="p", *claims, **parts):
    volumes = [
        {"name": f"v{i}", "persistentVolumeClaim": {"claimName": item}}
        for i, item in enumerate(claims or ("data",))
    ]
    return pod(name, volumes=volumes, **parts)


def cluster(*volumes, classes=(), names=("a", "b", "c")):
    scheduler = Scheduler()
    for name in names:
        scheduler.put_node(node(name), 0)
    for item in volumes:
        scheduler.stored.change(lambda table, item=item: table.put_volume(item), 0)
    for item in classes:
        scheduler.table.volumes.classes[item.metadata.name] = item
    return scheduler


def refusal(scheduler, candidate, now=0):
    scheduler.put_waiting(candidate)
    return scheduler.decide(now).decision.refusals.sentence()


def test_a_pod_waits_for_its_claim_to_be_there_and_to_be_bound():
    scheduler = cluster()
    told = refusal(scheduler, user())
    assert told == '0/3 nodes are available: persistentvolumeclaim "data" not found.'
    scheduler.stored.put_claim(claim(), 1)
    told = scheduler.decide(1).decision.refusals.sentence()
    unbound = "pod has unbound immediate PersistentVolumeClaims"
    assert told == f"0/3 nodes are available: {unbound}."
    assert unbound in {item.reason for item in scheduler.explain(user()).nodes[0].verdicts}
    scheduler.stored.change(lambda table: table.put_volume(volume("v")), 2)
    scheduler.stored.put_claim(claim(volume="v", bound=True), 2)
    assert scheduler.decide(2).decision.node


def test_a_pod_goes_where_its_bound_volume_is():
    scheduler = cluster(volume("v", "b"))
    scheduler.stored.put_claim(claim(volume="v", bound=True), 0)
    scheduler.put_waiting(user())
    assert scheduler.decide(0).decision.node == "b"
    told = refusal(scheduler, user("other", nodeSelector={"kubernetes.io/hostname": "a"}))
    assert "1 node(s) didn't match PersistentVolume's node affinity" in told
    assert "2 node(s) didn't match Pod's node affinity/selector" in told


def test_a_volume_is_chosen_with_the_node_and_written_before_the_pod_is_bound():
    late = storage_class("late", **LATE)
    scheduler = cluster(volume("v", "b", storage_class="late"), classes=[late])
    scheduler.stored.put_claim(claim(storageClassName="late"), 0)
    scheduler.put_waiting(user())
    outcome = scheduler.decide(0)
    assert outcome.decision.node == "b"
    [(_, chosen)] = outcome.preparation.reserve
    assert chosen.metadata.name == "v"
    scheduler.stored.put_claim(claim("more", storageClassName="late"), 0)
    told = refusal(scheduler, user("other", "more"))
    assert "3 node(s) didn't find available persistent volumes to bind" in told
    scheduler.stored.put_claim(claim(volume="v", bound=True, storageClassName="late"), 1)
    again = scheduler.decide(1)
    assert (again.pod.key.name, again.decision.node, again.preparation) == ("p", "b", None)


def test_a_volume_that_is_to_be_made_is_made_for_the_node():
    made = storage_class(
        "made",
        **MADE,
        allowedTopologies=[
            {"matchLabelExpressions": [{"key": "kubernetes.io/hostname", "values": ["c"]}]}
        ],
    )
    scheduler = cluster(classes=[made])
    wanted = claim(storageClassName="made")
    scheduler.stored.put_claim(wanted, 0)
    scheduler.put_waiting(user())
    outcome = scheduler.decide(0)
    assert outcome.preparation.node == "c"
    assert outcome.preparation.select == (wanted,)
    selected = {"volume.kubernetes.io/selected-node": "c"}
    scheduler.stored.put_claim(claim(storageClassName="made", notes=selected), 1)
    assert scheduler.decide(1) is None
    # Nobody can make it there: the pod is decided on anew.
    scheduler.stored.put_claim(claim(storageClassName="made"), 2)
    assert scheduler.decide(60).preparation is not None


def test_who_waits_in_vain_gives_the_node_and_the_volume_back():
    late = storage_class("late", **LATE)
    scheduler = cluster(volume("v", storage_class="late"), classes=[late])
    scheduler.stored.put_claim(claim(storageClassName="late"), 0)
    scheduler.put_waiting(user())
    assert scheduler.decide(0).preparation
    assert scheduler.next_due() == 600
    scheduler.decide(600)
    assert not [item for name in "abc" for item in scheduler.table.on_node(name)]
    assert scheduler.decide(700).preparation


def test_a_claim_for_one_pod_is_used_by_one_pod():
    scheduler = cluster(volume("v"))
    scheduler.stored.put_claim(claim(volume="v", bound=True, modes=("ReadWriteOncePod",)), 0)
    scheduler.put_waiting(user("first"))
    assert scheduler.decide(0).decision.node
    told = refusal(scheduler, user("second"))
    assert "3 node has pod using PersistentVolumeClaim with the same name" in told
    scheduler.drop_pod(Key("default", "first"), 1)
    assert scheduler.decide(60).pod.key.name == "second"


def test_a_volume_of_a_zone_is_had_there():
    labels = {"topology.kubernetes.io/zone": "z1__z2"}
    scheduler = cluster(volume("v", labels=labels), names=())
    for name, zone in (("a", "z3"), ("b", "z2")):
        scheduler.put_node(node(name, labels={"topology.kubernetes.io/zone": zone}), 0)
    scheduler.stored.put_claim(claim(volume="v", bound=True), 0)
    scheduler.put_waiting(user())
    assert scheduler.decide(0).decision.node == "b"


def test_a_pod_of_its_own_claim_waits_until_that_is_its_own():
    scheduler = cluster(volume("v"))
    mine = pod("p", volumes=[{"name": "v", "ephemeral": {}}])
    assert "waiting for ephemeral volume controller to create" in refusal(scheduler, mine)
    scheduler.stored.put_claim(claim("p-v", volume="v", bound=True), 1)
    told = scheduler.decide(1).decision.refusals.sentence()
    assert "was not created for pod default/p (pod is not owner)" in told


@given(
    st.lists(st.sets(st.sampled_from("abc")), max_size=5),
    st.integers(1, 3),
    st.sampled_from(["none", "made"]),
)
def test_no_two_claims_of_a_pod_get_one_volume_on_any_node(places, wanted, maker):
    told = MADE if maker == "made" else LATE
    volumes = [volume(f"v{i}", *sorted(x), storage_class="s") for i, x in enumerate(places)]
    scheduler = cluster(*volumes, classes=[storage_class("s", **told)])
    names = [f"c{i}" for i in range(wanted)]
    claims = [claim(name, storageClassName="s") for name in names]
    for item in claims:
        scheduler.stored.put_claim(item, 0)
    choice = volumechoice.choose(claims, scheduler.table)
    for row in range(3):
        here = "abc"[row]
        found = []
        for _, picks in choice.picks:
            first = [item.metadata.name for item, nodes in picks if nodes[row]]
            assert len(first) <= 1
            found += first
        assert len(found) == len(set(found))
        # A volume without any place is everywhere.
        near = sum(not place or here in place for place in places)
        assert len(found) == min(near, wanted)
        assert choice.fits[row] == (maker == "made" or near >= wanted)
    assert choice.fits.dtype == np.bool_
