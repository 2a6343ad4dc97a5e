"""What an owner takes and what it lets go."""

import msgspec

from pilothouse.services.machinery import adoption, labels
from pilothouse.services.machinery.objects import Metadata, Object, OwnerReference

OWNER = Metadata(name="web", uid="u")
SELECTOR = labels.compile_map({"app": "web"})
REFERENCE = OwnerReference(
    api_version="apps/v1", kind="ReplicaSet", name="web", uid="u", controller=True
)


def item(name, *owners, app="web", **metadata):
    return Object(
        metadata=Metadata(name=name, labels={"app": app}, owner_references=owners, **metadata)
    )


def names(found):
    return [one.metadata.name for one in found]


def test_what_matches_is_owned_and_taken_if_free():
    near = [item("b"), item("a", REFERENCE), item("c", REFERENCE, app="other"), item("d", app="x")]
    claim = adoption.claimed(OWNER, SELECTOR, near)
    assert (names(claim.owned), names(claim.adopt), names(claim.release)) == (
        ["a", "b"], ["b"], ["c"],
    )  # fmt: skip


def test_of_others_and_on_its_way_out_nothing_is_taken():
    other = msgspec.structs.replace(REFERENCE, uid="other")
    going = item("going", deletion_timestamp="2026-01-01T00:00:00Z")
    claim = adoption.claimed(OWNER, SELECTOR, [item("theirs", other), going])
    assert claim == adoption.Claim((), (), ())


def test_an_owner_on_its_way_out_neither_takes_nor_gives():
    leaving = msgspec.structs.replace(OWNER, deletion_timestamp="2026-01-01T00:00:00Z")
    near = [item("free"), item("mine", REFERENCE), item("odd", REFERENCE, app="other")]
    claim = adoption.claimed(leaving, SELECTOR, near)
    assert (names(claim.owned), claim.adopt, claim.release) == (["mine"], (), ())


def test_no_selector_takes_nothing_and_what_does_not_fit_is_let_go():
    assert adoption.claimed(OWNER, None, [item("free")]).owned == ()
    claim = adoption.claimed(OWNER, SELECTOR, [item("a", REFERENCE)], lambda _: False)
    assert (claim.owned, names(claim.release)) == ((), ["a"])
