"""Templates remembered as patches: told apart by what they say, numbered in order."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.machinery.kinds import revisions
from pilothouse.services.machinery.kinds.revisions import ControllerRevision
from pilothouse.services.machinery.objects import Metadata

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab<&", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
TEMPLATES = st.fixed_dictionaries({"metadata": st.just({}), "spec": VALUES})


def raw(value):
    return msgspec.Raw(msgspec.json.encode(value))


def kept(template, number, name="r"):
    data = revisions.snapshot(raw(template))
    return ControllerRevision(metadata=Metadata(name=name), revision=number, data=msgspec.Raw(data))


@given(TEMPLATES)
def test_a_template_comes_back_as_it_went_in(template):
    assert msgspec.json.decode(revisions.template_of(kept(template, 1))) == template


@given(TEMPLATES, TEMPLATES)
def test_the_same_template_is_found_again(one, other):
    found = revisions.wanted("web", raw(other), [kept(one, 3)], None)
    same = revisions.digest(revisions.snapshot(raw(one))) == revisions.digest(found.data)
    assert (found.present is not None) == same
    assert found.number == (3 if same else 4)


def test_order_and_nulls_make_no_other_template():
    one = raw({"spec": {"a": 1, "b": {"c": 2, "d": None}}})
    two = raw({"spec": {"b": {"c": 2}, "a": 1}})
    past = [kept(msgspec.json.decode(one), 1)]
    assert revisions.wanted("web", two, past, None).present is past[0]


def test_keys_are_in_order_as_others_compare_bytes():
    data = revisions.snapshot(raw({"spec": {"b": 1, "a": 2}, "metadata": {}}))
    assert data == (
        b'{"spec":{"template":{"$patch":"replace","metadata":{},"spec":{"a":2,"b":1}}}}'
    )


def test_a_first_revision_and_its_name():
    found = revisions.wanted("w" * 300, raw({}), [], None)
    assert (found.number, found.present) == (1, None)
    assert found.name == f"{'w' * 223}-{found.ending}"
    assert revisions.wanted("web", raw({}), [], 1).ending != found.ending


def test_an_earlier_template_takes_the_next_number():
    past = [kept({"spec": 1}, 1, "a"), kept({"spec": 2}, 2, "b"), kept({"spec": 1}, 3, "c")]
    back = revisions.wanted("web", raw({"spec": 2}), past, None)
    assert (back.present, back.number, revisions.is_new(back)) == (past[1], 4, True)
    again = revisions.wanted("web", raw({"spec": 1}), past, None)
    assert (again.present, again.number, again.doubles) == (past[2], 3, (past[0],))
    assert not revisions.is_new(again)
