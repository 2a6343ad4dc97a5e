"""When what stores data may go."""

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers.storage.protection import plan
from pilothouse.services.machinery.kinds import volumes
from pilothouse.services.machinery.kinds.pods import (
    ClaimSource,
    EphemeralSource,
    Pod,
    Spec,
    Status,
    Volume,
)
from pilothouse.services.machinery.objects import Key, Metadata

MINE = volumes.CLAIM_FINALIZER


def metadata(*finalizers, deleting=True):
    return Metadata(
        name="a",
        finalizers=finalizers,
        deletion_timestamp="2026-01-01T00:00:00Z" if deleting else None,
    )


def test_it_stays_while_it_is_used():
    assert plan(metadata(MINE), MINE, used=True).finalizers is None


def test_it_is_freed_of_this_finalizer_alone():
    assert plan(metadata("a/b", MINE), MINE, used=False).finalizers == ("a/b",)


def test_what_nobody_deletes_keeps_its_finalizer():
    assert plan(metadata(MINE, deleting=False), MINE, used=False).finalizers is None


@given(st.lists(st.sampled_from([MINE, "a/b", "c/d"]), unique=True), st.booleans(), st.booleans())
def test_after_a_plan_there_is_nothing_to_do(finalizers, deleting, used):
    todo = plan(metadata(*finalizers, deleting=deleting), MINE, used=used)
    if todo.finalizers is not None:
        again = plan(metadata(*todo.finalizers, deleting=deleting), MINE, used=used)
        assert again.finalizers is None


def test_a_pod_uses_its_claims_until_it_has_ended():
    spec = Spec(
        volumes=(
            Volume(name="a", persistent_volume_claim=ClaimSource(claim_name="data")),
            Volume(name="b", ephemeral=EphemeralSource()),
            Volume(name="c"),
        )
    )
    pod = Pod(metadata=Metadata(name="p", namespace="n"), spec=spec)
    assert set(volumes.claims_of(pod)) == {Key("n", "data"), Key("n", "p-b")}
    ended = Pod(metadata=pod.metadata, spec=spec, status=Status(phase="Succeeded"))
    assert not set(volumes.claims_of(ended))
