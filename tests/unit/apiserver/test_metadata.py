"""What the server says of metadata that is none."""

import pytest

from pilothouse.services.apiserver.objects import metadata
from pilothouse.services.machinery import names

OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "1"}


def told(document, rule=names.subdomain, **ways):
    found = metadata.check({"name": "x", **document}, rule, **ways)
    return [(cause.field.removeprefix("metadata."), cause.message) for cause in found]


@pytest.mark.parametrize("generated", ["web-", "a.b-", "a"])
def test_what_a_name_may_begin_with(generated):
    assert told({"generateName": generated}) == []


@pytest.mark.parametrize("generated", ["A", "web_", "web.", "-"])
def test_what_no_name_begins_with(generated):
    assert [field for field, _ in told({"generateName": generated})] == ["generateName"]


def test_owners_are_told_by_number():
    assert told({"ownerReferences": [OWNER, {}]}) == [
        (f"ownerReferences[1].{member}", "Required value: must not be empty")
        for member in ("apiVersion", "kind", "name", "uid")
    ]
    version = 'Invalid value: "a/b/c": must be <group>/<version> or <version>'
    assert told({"ownerReferences": [{**OWNER, "apiVersion": "a/b/c"}]}) == [
        ("ownerReferences[0].apiVersion", version)
    ]
    assert "disallowed from being an owner" in str(
        told({"ownerReferences": [{**OWNER, "apiVersion": "v1", "kind": "Event"}]})
    )


def test_one_owner_controls():
    both = [{**OWNER, "controller": True}, {**OWNER, "name": "b", "uid": "2", "controller": True}]
    ((field, message),) = told({"ownerReferences": both})
    assert field == "ownerReferences"
    assert message.endswith("in references for ReplicaSet/a and ReplicaSet/b")


def test_dependents_are_orphaned_or_deleted():
    ((_, message),) = told({"finalizers": ["orphan", "foregroundDeletion"]})
    assert message.endswith("finalizer orphan and foregroundDeletion cannot be both set")


def test_finalizers_have_a_domain():
    assert told({"finalizers": ["kubernetes", "a.b/c", "orphan"]}) == []
    ((field, message),) = told({"finalizers": ["a.b/c", "mine"]})
    assert field == "finalizers[1]"
    assert message.endswith("is neither a standard finalizer name nor is it fully qualified")
    assert told({"finalizers": ["mine"]}, free=True) == []
    warned = metadata.warn({"finalizers": ["old", "mine", "a.b"]}, {"finalizers": ["old"]})
    assert [text.partition(": prefer a domain-qualified finalizer name")[0] for text in warned] == [
        'metadata.finalizers: "a.b"', 'metadata.finalizers: "mine"'
    ]  # fmt: skip


def test_owners_are_told_once():
    given = {"ownerReferences": [OWNER, {**OWNER, "uid": "2"}, dict(OWNER)]}
    assert metadata.changed(given, {})["ownerReferences"] == [OWNER, {**OWNER, "uid": "2"}]


def test_new_finalizers_of_what_goes_are_told_together():
    old = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a/a"]}
    assert metadata.check_update({"finalizers": []}, old) == []
    (cause,) = metadata.check_update({"finalizers": ["a/c", "a/b"]}, old)
    assert cause.message.endswith('found new finalizers []string{"a/b", "a/c"}')
