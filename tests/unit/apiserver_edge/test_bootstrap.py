"""Roles of an older cluster are mended at the start, unless their owner forbids it."""

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.apiserver.bootstrap import mended

AUTO = "rbac.authorization.kubernetes.io/autoupdate"


def role(*verbs, auto="true", labels=None, **more):
    metadata = {"name": "r", "annotations": {AUTO: auto}, "labels": labels or {}}
    return {"metadata": metadata, "rules": [{"verbs": [verb]} for verb in verbs], **more}


def test_what_is_lacking_is_added_and_what_was_added_by_hand_stays():
    whole = mended(
        role("mine", "get", labels={"a": "mine"}), role("get", "list", labels={"b": "1"})
    )
    assert whole["rules"] == [{"verbs": [verb]} for verb in ("mine", "get", "list")]
    assert whole["metadata"]["labels"] == {"a": "mine", "b": "1"}


def test_an_owner_may_forbid_it():
    theirs = role("mine", auto="false")
    assert mended(theirs, role("get")) == theirs


def test_other_kinds_are_left_as_they_are():
    namespace = {"metadata": {"name": "default", "labels": {"a": "b"}}}
    assert mended(namespace, {"metadata": {"name": "default"}}) == namespace


def test_the_rules_of_an_aggregated_role_are_not_touched():
    rule = {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
    whole = mended(role("old"), role("get", aggregationRule=rule))
    assert (whole["rules"], whole["aggregationRule"]) == ([{"verbs": ["old"]}], rule)


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_mended_it_needs_no_more_mending(has, wants):
    whole = mended(role(*has), role(*wants))
    assert mended(whole, role(*wants)) == whole
