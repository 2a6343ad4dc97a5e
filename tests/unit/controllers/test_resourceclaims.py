"""Claims of devices: made of templates, held, let go, and told about."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers import names
from pilothouse.services.controllers.adapters.devices.resourceclaims import families
from pilothouse.services.controllers.devices import reservations, resourceclaim
from pilothouse.services.controllers.devices.reservations import ReservationController
from pilothouse.services.controllers.devices.resourceclaim import (
    PREFIX_BYTES_MAX,
    ResourceClaimController,
)
from pilothouse.services.controllers.manager import CONTROLLERS
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds import devices
from pilothouse.services.machinery.kinds.devices import Allocation, Consumer, ResourceClaim
from pilothouse.services.machinery.kinds.pods import ClaimStatus, Pod, PodClaim, Spec, Status
from pilothouse.services.machinery.objects import Key, Metadata, OwnerReference
from pilothouse.services.runtime import exposition

replace = msgspec.structs.replace
GONE = timestamps.render(1_900_000_000.0)
TEMPLATED = PodClaim(name="gpu", resource_claim_template_name="template")
DIRECT = PodClaim(name="net", resource_claim_name="shared")


def pod(*claims, told=(), node="", phase="Pending", deleting=False, uid="p-uid"):
    statuses = tuple(ClaimStatus(name=name, resource_claim_name=claim) for name, claim in told)
    return Pod(
        metadata=Metadata(
            name="p", namespace="n", uid=uid, deletion_timestamp=GONE if deleting else None
        ),
        spec=Spec(resource_claims=claims, node_name=node),
        status=Status(resource_claim_statuses=statuses, phase=phase),
    )


def owner(uid="p-uid"):
    return OwnerReference(api_version="v1", kind="Pod", name="p", uid=uid, controller=True)


def claim(name, *holders, mark=None, owned=None, allocated=False, protected=False, going=False):
    reserved = tuple(Consumer(resource="pods", name=who, uid=f"{who}-uid") for who in holders)
    return ResourceClaim(
        metadata=Metadata(
            name=name,
            namespace="n",
            uid=f"{name}-uid",
            annotations={devices.CLAIM_NAME: mark} if mark else {},
            owner_references=(owner(owned),) if owned else (),
            finalizers=("other", devices.FINALIZER) if protected else ("other",),
            deletion_timestamp=GONE if going else None,
        ),
        status=devices.Status(
            allocation=Allocation() if allocated else None, reserved_for=reserved
        ),
    )


def by_name(*claims):
    return {item.metadata.name: item for item in claims}


def test_a_claim_is_made_of_a_template_and_those_of_users_are_left_to_them():
    todo = resourceclaim.plan(pod(TEMPLATED, DIRECT), {}, [])
    assert todo == resourceclaim.Plan(create=(TEMPLATED,))


def test_one_that_was_made_before_the_pod_was_told_is_taken():
    made = claim("p-gpu-x", mark="gpu", owned="p-uid")
    assert resourceclaim.plan(pod(TEMPLATED), {}, [made]).tell == (("gpu", "p-gpu-x"),)
    plain = claim("p-gpu", owned="p-uid")
    assert resourceclaim.plan(pod(TEMPLATED), {}, [plain]).tell == (("gpu", "p-gpu"),)
    other = claim("p-net-x", mark="net", owned="p-uid")
    assert resourceclaim.plan(pod(TEMPLATED), {}, [other]).create == (TEMPLATED,)


def test_one_that_was_deleted_or_is_anothers_is_made_again():
    it = pod(TEMPLATED, told=[("gpu", "p-gpu-x")])
    assert resourceclaim.plan(it, {}, []).create == (TEMPLATED,)
    strange = claim("p-gpu-x", mark="gpu", owned="another-uid")
    assert resourceclaim.plan(it, by_name(strange), []).create == (TEMPLATED,)
    made = claim("p-gpu-x", mark="gpu", owned="p-uid")
    assert resourceclaim.plan(it, by_name(made), [made]) == resourceclaim.Plan()


def test_nothing_is_done_for_a_pod_that_goes_or_needs_none():
    assert resourceclaim.plan(pod(TEMPLATED, deleting=True), {}, []) == resourceclaim.Plan()
    unneeded = pod(TEMPLATED, told=[("gpu", None)])
    assert resourceclaim.plan(unneeded, {}, []) == resourceclaim.Plan()


def test_a_pod_that_no_scheduler_saw_has_its_claims_reserved():
    free, given_ = claim("shared"), claim("shared", allocated=True)
    it = pod(DIRECT, node="node-1")
    assert resourceclaim.plan(it, by_name(free), []).reserve == ()
    assert resourceclaim.plan(it, by_name(given_), []).reserve == (given_,)
    assert resourceclaim.plan(pod(DIRECT), by_name(given_), []).reserve == ()
    held = claim("shared", "p", allocated=True)
    assert resourceclaim.plan(it, by_name(held), []).reserve == ()
    crowd = claim("shared", *(f"q{number}" for number in range(256)), allocated=True)
    assert resourceclaim.plan(it, by_name(crowd), []).reserve == ()
    ended = pod(DIRECT, node="node-1", phase="Succeeded")
    assert resourceclaim.plan(ended, by_name(given_), []).reserve == ()


@given(st.integers(1, 253), st.integers(1, 63))
def test_long_names_are_cut_both(pod_bytes, claim_bytes):
    found = resourceclaim.prefix("p" * pod_bytes, "c" * claim_bytes)
    assert len(found) <= PREFIX_BYTES_MAX
    assert found.startswith("p")
    if pod_bytes + claim_bytes + 2 <= PREFIX_BYTES_MAX:
        assert found == "p" * pod_bytes + "-" + "c" * claim_bytes + "-"


@pytest.mark.parametrize(
    ("found", "holding", "done", "wanted"),
    [
        (claim("c", "p", allocated=True), {"p-uid"}, False, reservations.Plan()),
        # The last who held it lets go: the devices are free for others.
        (
            claim("c", "p", allocated=True, protected=True),
            set(),
            False,
            reservations.Plan((), deallocate=True, free=True),
        ),
        # Without the mark of the scheduler it was allocated by somebody else.
        (claim("c", "p", allocated=True), set(), False, reservations.Plan(())),
        # It was never held: it stays as it is, until it is deleted.
        (claim("c", allocated=True, protected=True), set(), False, reservations.Plan()),
        (
            claim("c", allocated=True, protected=True, going=True),
            set(),
            False,
            reservations.Plan(deallocate=True, free=True),
        ),
        (claim("c", protected=True, going=True), set(), True, reservations.Plan(free=True)),
        (claim("c", owned="p-uid"), set(), True, reservations.Plan(delete=True)),
        (claim("c", "q", owned="p-uid", allocated=True), {"q-uid"}, True, reservations.Plan()),
    ],
)  # fmt: skip
def test_claims_are_let_go(found, holding, done, wanted):
    assert reservations.plan(found, holding, owner_done=done) == wanted


def test_some_let_go_and_the_others_keep_it():
    found = claim("c", "a", "b", allocated=True, protected=True)
    todo = reservations.plan(found, {"b-uid"}, owner_done=False)
    assert [item.name for item in todo.reserved] == ["b"]
    assert not todo.deallocate


@given(
    st.sets(st.sampled_from("abc")),
    st.sets(st.sampled_from(["a-uid", "b-uid", "c-uid"])),
    st.tuples(*[st.booleans()] * 4),
)
def test_after_a_plan_there_is_nothing_to_do(holders, holding, said):
    allocated, protected, going, done = said
    found = claim("c", *holders, allocated=allocated, protected=protected, going=going)
    todo = reservations.plan(found, holding, owner_done=done)
    if todo.delete:
        return
    status, metadata = found.status, found.metadata
    if todo.reserved is not None:
        status = replace(status, reserved_for=todo.reserved)
    if todo.deallocate:
        assert not status.reserved_for
        status = replace(status, allocation=None)
    if todo.free:
        metadata = replace(metadata, finalizers=("other",))
    after = replace(found, status=status, metadata=metadata)
    assert reservations.plan(after, holding, owner_done=done) == reservations.Plan()


class Room:
    """A namespace of one pod."""

    def __init__(self, it, *claims, templates=("template",)):
        self.it = it
        self.made = by_name(*claims)
        self.templates = templates
        self.acts = []

    def pod(self, key):
        return self.it if key.name == "p" else None

    def find(self, key):
        return self.made.get(key.name)

    def settled(self, key):
        return True

    def claims(self, pod):
        own = [item for item in self.made.values() if devices.is_for(pod, item)]
        return {
            name: self.made[name] for name in devices.claim_names(pod) if name in self.made
        }, own

    async def create(self, pod, wanted):
        if wanted.resource_claim_template_name not in self.templates:
            raise NotFound("no template")
        name = f"p-{wanted.name}-{len(self.made)}"
        self.made[name] = claim(name, mark=wanted.name, owned=pod.metadata.uid)
        return name

    async def tell(self, pod, names):
        self.acts.append(names)
        told = {item.name: item for item in pod.status.resource_claim_statuses}
        told |= {name: ClaimStatus(name=name, resource_claim_name=made) for name, made in names}
        self.it = replace(
            pod, status=replace(pod.status, resource_claim_statuses=tuple(told.values()))
        )

    async def reserve(self, pod, claim):
        self.acts.append(("reserve", claim.metadata.name))

    async def is_gone(self, key, uid):
        self.acts.append(("asked", key.name))
        return key.name != "unseen"

    async def write_status(self, claim, todo):
        self.acts.append(("status", tuple(item.name for item in todo.reserved or ())))
        return claim

    async def free(self, claim):
        self.acts.append("free")

    async def delete(self, claim):
        self.acts.append("delete")


async def test_a_pod_is_told_what_was_made_and_one_look_more_does_nothing():
    absent = PodClaim(name="odd", resource_claim_template_name="nowhere")
    room = Room(pod(TEMPLATED, absent))
    with pytest.raises(NotFound):
        await ResourceClaimController(room).reconcile(Key("n", "p"))
    assert room.acts == [[("gpu", "p-gpu-0")]]
    room.templates = ("template", "nowhere")
    await ResourceClaimController(room).reconcile(Key("n", "p"))
    assert room.acts[1:] == [[("odd", "p-odd-1")]]
    await ResourceClaimController(room).reconcile(Key("n", "p"))
    assert len(room.acts) == 2


async def test_who_is_not_in_the_cache_is_asked_for():
    held = claim("c", "p", "gone", "unseen", allocated=True)
    strange = Consumer(api_group="a.io", resource="things", name="t", uid="t-uid")
    status = replace(held.status, reserved_for=(*held.status.reserved_for, strange))
    room = Room(pod(), replace(held, status=status))
    await ReservationController(room).reconcile(Key("n", "c"))
    assert room.acts[:2] == [("asked", "gone"), ("asked", "unseen")]
    assert room.acts[2:] == [("status", ("p", "unseen", "t"))]


async def test_what_was_made_for_a_pod_goes_when_the_pod_has_ended():
    for it, deleted in (
        (pod(TEMPLATED, phase="Succeeded"), True),
        (pod(TEMPLATED, deleting=True), True),
        (pod(TEMPLATED, deleting=True, node="node-1"), False),
        (pod(TEMPLATED, uid="another"), True),
        (pod(TEMPLATED), False),
    ):
        room = Room(it, claim("c", owned="p-uid"))
        await ReservationController(room).reconcile(Key("n", "c"))
        assert room.acts == (["delete"] if deleted else [])


def test_the_parts_of_a_controller_go_with_it():
    left = names.chosen(["*", "-resourceclaim-controller", "-job"], CONTROLLERS)
    assert CONTROLLERS.keys() - left == {
        "resourceclaim", "resourceclaim-reservations", "job", "job-untracking", *names.ON_REQUEST,
    }  # fmt: skip


def test_claims_are_counted_as_they_came_to_be():
    noted = Metadata(name="e", annotations={devices.EXTENDED: "true"})
    watching = devices.Devices(results=(devices.Result(admin_access=True),))
    admin = devices.Status(allocation=Allocation(devices=watching))
    claims = [
        claim("a", mark="gpu"), claim("b", mark="gpu"), claim("c", allocated=True),
        ResourceClaim(metadata=noted), ResourceClaim(status=admin),
    ]  # fmt: skip
    lines = exposition.render(families({"success": 2, "failure": 1}, claims)).decode().split("\n")
    name = "dynamic_resource_allocation_resource"
    assert f'{name}claim_creates_total{{status="failure",admin_access="false"}} 1' in lines
    for allocated, access, source, count in (
        ("false", "false", "resource_claim_template", 2), ("true", "false", "", 1),
        ("false", "false", "extended_resource", 1), ("true", "true", "", 1),
    ):  # fmt: skip
        labels = f'allocated="{allocated}",admin_access="{access}",source="{source}"'
        assert f"{name}_claims{{{labels}}} {count}" in lines
