"""Claims and volumes become pairs, whatever is seen in whatever order, and over crashes."""

import contextlib

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.services.controllers.adapters.storage import bindingmeasures
from pilothouse.services.controllers.storage import ephemeral
from pilothouse.services.controllers.storage.pairing import claiming, reclaiming
from pilothouse.services.controllers.storage.pairing.claiming import Observed
from pilothouse.services.controllers.storage.pairing.reclaiming import Act
from pilothouse.services.machinery.kinds import binding
from pilothouse.services.machinery.kinds.pods import Pod, Resources
from pilothouse.services.machinery.kinds.volumes import (
    Claim,
    ClaimReference,
    ClaimSpec,
    ClaimStatus,
    HostPath,
    LocalPath,
    PersistentVolume,
    StorageClass,
    VolumeSpec,
    VolumeStatus,
)
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Metadata, OwnerReference

replace = msgspec.structs.replace
ONCE = ("ReadWriteOnce",)
MANY = ("ReadWriteOnce", "ReadWriteMany")


def claim(name="c", size="1Gi", **spec):
    wanted = {"access_modes": ONCE, "storage_class_name": "", **spec}
    return Claim(
        metadata=Metadata(name=name, namespace="ns", uid=f"uid-{name}"),
        spec=ClaimSpec(resources=Resources(requests={"storage": size}), **wanted),
    )


def volume(name="v", size="1Gi", phase="Available", **spec):
    given_ = {"access_modes": ONCE, **spec}
    return PersistentVolume(
        metadata=Metadata(name=name, uid=f"uid-{name}"),
        spec=VolumeSpec(capacity={"storage": size}, **given_),
        status=VolumeStatus(phase=phase),
    )


def reference(item, uid=None):
    told = item.metadata.uid if uid is None else uid
    return ClaimReference(namespace="ns", name=item.metadata.name, uid=told)


def annotated(item, **notes):
    told = {**item.metadata.annotations, **notes}
    told = {key: value for key, value in told.items() if value is not None}
    return replace(item, metadata=replace(item.metadata, annotations=told))


class Store:
    """Claims and volumes as an API server has them; each write may be the last before a crash."""

    def __init__(self, claims, volumes):
        self.claims = {item.metadata.name: item for item in claims}
        self.volumes = {item.metadata.name: item for item in volumes}
        self.left = 10**9
        self.writes = 0

    def write(self, kind, item):
        if self.left == 0:
            raise InterruptedError
        self.left -= 1
        if kind.get(item.metadata.name) != item:
            self.writes += 1
        kind[item.metadata.name] = item
        return item

    def observed(self, item):
        named = self.volumes.get(item.spec.volume_name)
        return Observed(named, list(self.volumes.values()))

    def step_claim(self, name):
        item = self.claims.get(name)
        if item is None:
            return
        todo = claiming.plan(item, self.observed(item))
        if todo.bind is None:
            if todo.phase:
                status = replace(item.status, phase=todo.phase)
                self.write(self.claims, replace(item, status=status))
            return
        pair, steps = todo.bind, claiming.steps(item, todo.bind)
        if steps.reserve:
            pair = replace(pair, spec=replace(pair.spec, claim_ref=reference(item)))
            if steps.volume_by_us:
                pair = annotated(pair, **{binding.BOUND_BY_CONTROLLER: "yes"})
            self.write(self.volumes, pair)
        if steps.volume_phase:
            pair = self.write(self.volumes, replace(pair, status=VolumeStatus(phase="Bound")))
        if steps.complete:
            item = annotated(item, **{binding.BIND_COMPLETED: "yes"})
            spec = replace(item.spec, volume_name=pair.metadata.name)
            item = self.write(self.claims, replace(item, spec=spec))
        if steps.claim_status:
            status = ClaimStatus(phase="Bound", access_modes=pair.spec.access_modes)
            self.write(self.claims, replace(item, status=status))

    def step_volume(self, name):
        item = self.volumes[name]
        wanted = item.spec.claim_ref
        found = self.claims.get(wanted.name) if wanted is not None and wanted.uid else None
        todo = reclaiming.plan(item, found)
        if todo.act is Act.UNBIND:
            kept = None if todo.forget else replace(item.spec.claim_ref, uid="")
            item = replace(item, spec=replace(item.spec, claim_ref=kept))
            if todo.forget:
                item = annotated(item, **{binding.BOUND_BY_CONTROLLER: None})
            self.write(self.volumes, item)
        if todo.phase:
            self.write(self.volumes, replace(item, status=VolumeStatus(phase=todo.phase)))

    def step(self, kind, name):
        (self.step_claim if kind == "claim" else self.step_volume)(name)

    def check(self):
        having = {}
        for item in self.claims.values():
            if binding.is_complete(item) and item.status.phase != "Lost":
                pair = self.volumes[item.spec.volume_name]
                assert pair.spec.claim_ref.uid == item.metadata.uid
                assert pair.metadata.name not in having
                having[pair.metadata.name] = item

    def settle(self):
        keys = [("claim", name) for name in self.claims]
        keys += [("volume", name) for name in self.volumes]
        for _ in range(12):
            before = self.writes
            for key in keys:
                self.step(*key)
            if self.writes == before:
                return
        raise AssertionError("it never settles")


sizes = st.sampled_from(["1Gi", "2Gi", "5Gi"])
modes = st.sampled_from([ONCE, MANY])


@st.composite
def stores(draw):
    claims = [
        claim(
            f"c{number}",
            draw(sizes),
            access_modes=draw(modes),
            volume_name=draw(st.sampled_from(["", "", "v0", "v1"])),
        )
        for number in range(draw(st.integers(1, 4)))
    ]
    volumes = []
    for number in range(draw(st.integers(0, 4))):
        kept = draw(st.sampled_from([None, None, "c0", "c1"]))
        wanted = ClaimReference(namespace="ns", name=kept) if kept else None
        volumes.append(
            volume(
                f"v{number}",
                draw(sizes),
                phase=draw(st.sampled_from(["Pending", "Available"])),
                access_modes=draw(modes),
                claim_ref=wanted,
            )
        )
    return Store(claims, volumes)


@settings(max_examples=300)
@given(stores(), st.lists(st.tuples(st.integers(0, 7), st.integers(0, 4)), max_size=30))
def test_no_two_claims_have_one_volume_whenever_it_crashes_and_it_settles(store, turns):
    keys = [("claim", name) for name in store.claims]
    keys += [("volume", name) for name in store.volumes]
    for turn, writes in turns:
        store.left = writes
        with contextlib.suppress(InterruptedError):
            store.step(*keys[turn % len(keys)])
        store.check()
    store.left = 10**9
    store.settle()
    store.check()
    owners = [item.spec.claim_ref.uid for item in store.volumes.values() if item.spec.claim_ref]
    owners = [uid for uid in owners if uid]
    assert len(owners) == len(set(owners))
    free = [item for item in store.volumes.values() if item.spec.claim_ref is None]
    for item in store.claims.values():
        if not binding.is_complete(item) and not item.spec.volume_name:
            assert binding.best(item, free) is None


@given(stores(), st.data())
def test_what_a_claim_that_went_had_is_released_and_nobody_gets_it(store, data):
    store.settle()
    bound = [item for item in store.claims.values() if binding.is_complete(item)]
    if not bound:
        return
    gone = data.draw(st.sampled_from(bound))
    del store.claims[gone.metadata.name]
    store.settle()
    store.check()
    left = store.volumes[gone.spec.volume_name]
    assert left.status.phase == "Released"
    assert left.spec.claim_ref.uid == gone.metadata.uid


def test_the_smallest_that_fits_with_the_fewest_access_modes():
    found = [volume("big", "9Gi"), volume("fit", "2Gi"), volume("small", "500Mi")]
    found.append(volume("more", "1Gi", access_modes=MANY))
    assert binding.best(claim(), found).metadata.name == "fit"
    assert binding.best(claim(access_modes=MANY), found).metadata.name == "more"
    assert binding.best(claim(size="10Gi"), found) is None


def test_class_mode_and_labels_must_be_as_asked():
    wanted = LabelSelector(match_labels={"tier": "gold"})
    gold = volume("gold")
    gold = replace(gold, metadata=replace(gold.metadata, labels={"tier": "gold"}))
    assert binding.best(claim(selector=wanted), [volume(), gold]) == gold
    assert binding.best(claim(storage_class_name="fast"), [volume()]) is None
    assert binding.best(claim(volume_mode="Block"), [volume()]) is None
    assert binding.best(claim(), [volume(phase="Pending"), volume(phase="Released")]) is None


def test_a_volume_kept_for_a_claim_goes_before_any_other():
    mine = claim()
    kept = volume("kept", "5Gi", phase="Pending", claim_ref=reference(mine, uid=""))
    assert claiming.plan(mine, Observed(near=[volume("fit"), kept])).bind == kept


def test_a_claim_says_why_it_waits():
    late = StorageClass(
        metadata=Metadata(name="late"),
        provisioner="x.io/y",
        volume_binding_mode="WaitForFirstConsumer",
    )
    lazy = claim(storage_class_name="late")
    todo = claiming.plan(
        lazy, Observed(near=[volume(storage_class_name="late")], storage_class=late)
    )
    assert (todo.bind, todo.say.reason) == (None, "WaitForFirstConsumer")
    todo = claiming.plan(lazy, Observed(storage_class=late, waiting=("p",)))
    assert todo.say.message == "waiting for pod p to be scheduled"
    placed = annotated(lazy, **{binding.SELECTED_NODE: "node-1"})
    todo = claiming.plan(placed, Observed(storage_class=late))
    assert (todo.provisioner, todo.say.reason) == ("x.io/y", "ExternalProvisioning")
    todo = claiming.plan(claim(storage_class_name="gone"), Observed())
    assert todo.say.message == 'storageclass.storage.k8s.io "gone" not found'
    todo = claiming.plan(claim(storage_class_name=None), Observed(default=late))
    assert todo.storage_class == "late"
    assert claiming.plan(claim(), Observed(default=late)).say.reason == "FailedBinding"


def test_a_claim_that_names_a_volume_gets_it_or_learns_why_not():
    small = volume("v", "500Mi")
    todo = claiming.plan(claim(volume_name="v"), Observed(small))
    assert todo.say.message == 'Cannot bind to requested volume "v": requested PV is too small'
    taken = volume("v", claim_ref=reference(claim("other")))
    todo = claiming.plan(claim(volume_name="v"), Observed(taken))
    assert todo.say.reason == "FailedBinding"


def test_a_claim_whose_volume_went_is_lost():
    bound = annotated(claim(volume_name="v"), **{binding.BIND_COMPLETED: "yes"})
    todo = claiming.plan(bound, Observed())
    assert (todo.phase, todo.say.reason) == ("Lost", "ClaimLost")
    todo = claiming.plan(bound, Observed(volume("v", claim_ref=reference(claim("other")))))
    assert (todo.phase, todo.say.reason) == ("Lost", "ClaimMisbound")


def test_what_was_released_goes_back_as_its_policy_says():
    gone = reference(claim())

    def released(**spec):
        return volume(phase="Released", claim_ref=gone, **spec)

    assert reclaiming.plan(released(), None) == reclaiming.Plan()
    delete = {"persistent_volume_reclaim_policy": "Delete"}
    todo = reclaiming.plan(released(**delete), None)
    assert (todo.phase, todo.say.reason) == ("Failed", "VolumeFailedDelete")
    made = annotated(released(**delete), **{binding.PROVISIONED_BY: "x.io/y"})
    assert reclaiming.plan(made, None) == reclaiming.Plan()
    path = HostPath(path="/tmp/data")
    assert reclaiming.plan(released(**delete, host_path=path), None).act is Act.DELETE
    out = HostPath(path="/tmp/../etc")
    assert reclaiming.plan(released(**delete, host_path=out), None).phase == "Failed"


def user(*volumes, uid="pod", **status):
    told = [{"name": name, "ephemeral": {}} for name in volumes]
    body = {"metadata": {"name": "p", "namespace": "ns", "uid": uid}, "spec": {"volumes": told}}
    return msgspec.convert({**body, "status": status}, Pod)


def owned(name, uid):
    owner = OwnerReference(api_version="v1", kind="Pod", name="p", uid=uid, controller=True)
    return Claim(metadata=Metadata(name=name, namespace="ns", owner_references=(owner,)))


def test_a_pod_gets_the_claims_of_its_own_once():
    todo = ephemeral.plan(user("a", "b"), {"p-b": owned("p-b", "pod")})
    assert [(birth.volume, birth.name) for birth in todo.create] == [("a", "p-a")]
    both = {name: owned(name, "pod") for name in ("p-a", "p-b")}
    assert ephemeral.plan(user("a", "b"), both) == ephemeral.Plan()
    assert ephemeral.plan(user("a", phase="Failed"), {}) == ephemeral.Plan()


def test_a_claim_of_somebody_else_is_in_the_way():
    [text] = ephemeral.plan(user("a"), {"p-a": owned("p-a", "other")}).say
    assert text == "ephemeral volume a: PVC ns/p-a was not created for pod ns/p (pod is not owner)"


def test_claims_and_volumes_are_counted_under_kubernetes_names():
    bound = volume("b", phase="Bound", storage_class_name="fast")
    local = volume("l", local=LocalPath(path="/x"))
    asked = claim("c", storage_class_name="fast")
    told = {item.name: item for item in bindingmeasures.families([asked], [bound, local])}
    assert told.keys() == {
        "pv_collector_bound_pv_count",
        "pv_collector_bound_pvc_count",
        "pv_collector_total_pv_count",
        "pv_collector_unbound_pv_count",
        "pv_collector_unbound_pvc_count",
    }
    assert bindingmeasures.plugin(local) == "kubernetes.io/local-volume"
