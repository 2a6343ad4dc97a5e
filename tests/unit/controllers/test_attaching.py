"""Volumes of drivers are on the nodes of the pods that use them, one at a time where that is so."""

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers.storage import expander
from pilothouse.services.controllers.storage.attaching import FORCE_SECONDS, Observed, Place, plan
from pilothouse.services.machinery.kinds import attachments
from pilothouse.services.machinery.kinds.attachments import (
    Attachment,
    AttachmentSource,
    AttachmentSpec,
)
from pilothouse.services.machinery.kinds.pods import Resources
from pilothouse.services.machinery.kinds.volumes import (
    Claim,
    ClaimReference,
    ClaimSpec,
    ClaimStatus,
    DriverVolume,
    PersistentVolume,
    VolumeSpec,
)
from pilothouse.services.machinery.objects import Metadata

NOW = 1000.0
ONCE, MANY = ("ReadWriteOnce",), ("ReadWriteMany",)


def volume(modes=ONCE):
    source = DriverVolume(driver="x.io", volume_handle="h")
    reference = ClaimReference(namespace="ns", name="c", uid="u")
    spec = VolumeSpec(access_modes=modes, csi=source, claim_ref=reference)
    return PersistentVolume(metadata=Metadata(name="v"), spec=spec)


def attachment(node, *, deleting=False):
    gone = "2026-01-01T00:00:00Z" if deleting else None
    name = attachments.name(volume(), node)
    source = AttachmentSource(persistent_volume_name="v")
    return Attachment(
        metadata=Metadata(name=name, deletion_timestamp=gone),
        spec=AttachmentSpec(attacher="x.io", node_name=node, source=source),
    )


def nodes_of(found):
    return [item.spec.node_name for item in found]


nodes = st.sets(st.sampled_from("abcd"))
places = st.builds(
    Place, holds=st.booleans(), lost=st.booleans(), ill=st.booleans(), since=st.floats(0, NOW)
)


@given(
    nodes, nodes, st.sampled_from([ONCE, MANY]), st.dictionaries(st.sampled_from("abcd"), places)
)
def test_it_settles_and_is_on_one_node_at_a_time_unless_it_is_shared(wanted, having, modes, known):
    seen = Observed(frozenset(wanted), [attachment(node) for node in sorted(having)], known)
    todo = plan(volume(modes), seen, NOW)
    assert not set(nodes_of(todo.detach)) & wanted
    assert not set(todo.attach) & having
    after = (having - set(nodes_of(todo.detach))) | set(todo.attach)
    if modes == ONCE and len(having) <= 1:
        assert len(having | set(todo.attach)) <= 1
    for _ in range(3):
        seen = Observed(frozenset(wanted), [attachment(node) for node in sorted(after)], known)
        todo = plan(volume(modes), seen, NOW)
        after = (after - set(nodes_of(todo.detach))) | set(todo.attach)
    seen = Observed(frozenset(wanted), [attachment(node) for node in sorted(after)], known)
    todo = plan(volume(modes), seen, NOW)
    assert (todo.attach, todo.detach) == ((), ())
    if modes == MANY:
        assert wanted <= after


def test_a_node_that_holds_it_keeps_it_until_it_is_off_or_ill_for_long():
    made = [attachment("a")]

    def after(**told):
        seen = Observed(attachments=made, places={"a": Place(**told)})
        todo = plan(volume(), seen, NOW)
        return bool(todo.detach), todo.again_after

    assert after(holds=False) == (True, None)
    assert after(holds=True) == (False, None)
    assert after(holds=True, lost=True) == (True, None)
    assert after(holds=True, ill=True, since=NOW - 60) == (False, FORCE_SECONDS - 60)
    assert after(holds=True, ill=True, since=NOW - FORCE_SECONDS) == (True, None)


def test_what_goes_is_waited_for():
    seen = Observed(frozenset({"b"}), [attachment("a", deleting=True)])
    todo = plan(volume(), seen, NOW)
    assert (todo.attach, todo.detach, todo.refused) == ((), (), ("b",))


def test_attachments_have_the_names_that_drivers_know():
    made = attachment("n")
    assert attachments.is_ours(made)
    assert made.metadata.name == (
        "csi-b392fd7a2346f14b4d82851efb5f5a6986736a475e2d8a75dacfc432409bd9ad"
    )
    assert attachments.unique_name(volume()) == "kubernetes.io/csi/x.io^h"
    assert not attachments.is_ours(Attachment(metadata=Metadata(name="by-hand")))


def test_a_bound_claim_that_wants_more_waits_for_its_driver():
    def claim(size, uid="u"):
        return Claim(
            metadata=Metadata(name="c", uid=uid),
            spec=ClaimSpec(resources=Resources(requests={"storage": size}), volume_name="v"),
            status=ClaimStatus(phase="Bound", capacity={"storage": "1Gi"}),
        )

    assert expander.waits(claim("2Gi"), volume())
    assert not expander.waits(claim("1Gi"), volume())
    assert not expander.waits(claim("2Gi", "other"), volume())
    assert not expander.waits(claim("2Gi"), None)
