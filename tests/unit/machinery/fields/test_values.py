"""Laws of extraction, comparison, merge and removal over any value of the schema."""

from hypothesis import given
from hypothesis import strategies as st
from kit.things import THING

from pilothouse.services.machinery.fields import fieldset, validation
from pilothouse.services.machinery.fields.comparison import compare
from pilothouse.services.machinery.fields.extraction import brought, mentioned
from pilothouse.services.machinery.fields.merging import merged
from pilothouse.services.machinery.fields.removal import removed, with_named_fields

WORD = st.sampled_from(["a", "b", "c"])
MAPS = st.dictionaries(WORD, WORD, max_size=3)
FREE = st.recursive(
    st.one_of(WORD, st.integers(0, 3), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(WORD, inner, max_size=2)),
    max_leaves=4,
)


def keyed(keys, **values):
    item = st.fixed_dictionaries(keys, optional=values)
    return st.lists(item, max_size=3, unique_by=lambda one: tuple(one[key] for key in keys))


SPECS = st.fixed_dictionaries(
    {},
    optional={
        "count": st.integers(0, 3),
        "on": st.booleans(),
        "text": WORD,
        "either": st.one_of(WORD, st.integers(0, 3)),
        "labels": MAPS,
        "selector": MAPS,
        "words": st.lists(WORD, max_size=3),
        "set": st.lists(WORD, max_size=3, unique=True),
        "ports": keyed({"port": st.integers(1, 3), "protocol": WORD}, name=WORD),
        "items": keyed({"name": WORD}, value=WORD, more=MAPS),
        "free": st.dictionaries(WORD, FREE, max_size=2),
    },
)
OBJECTS = SPECS.map(lambda spec: {"spec": spec})


@given(OBJECTS)
def test_any_object_of_the_schema_is_valid(one):
    assert validation.errors(THING, one) == []


@given(OBJECTS, OBJECTS)
def test_merged_has_all_that_was_applied(live, applied):
    result = merged(THING, live, applied)
    assert validation.errors(THING, result) == []
    found = compare(THING, applied, result)
    # Nothing of the configuration is gone or another; more may be there.
    assert not found.removed
    assert not found.modified


@given(OBJECTS, OBJECTS)
def test_merging_twice_changes_nothing(live, applied):
    once = merged(THING, live, applied)
    assert merged(THING, once, applied) == once


@given(OBJECTS)
def test_an_object_merged_with_itself_is_itself(one):
    assert merged(THING, one, one) == one
    assert merged(THING, {}, one) == one
    assert merged(THING, one, {}) == one


@given(OBJECTS)
def test_an_object_does_not_differ_from_itself(one):
    assert not compare(THING, one, one)


@given(OBJECTS, OBJECTS)
def test_comparison_has_two_sides(one, other):
    there, back = compare(THING, one, other), compare(THING, other, one)
    assert there.added == back.removed
    assert there.removed == back.added
    assert there.modified == back.modified
    assert bool(there) == (_plain(one) != _plain(other))


@given(OBJECTS, OBJECTS)
def test_comparison_shares_no_member(one, other):
    found = compare(THING, one, other)
    assert not fieldset.intersection(found.added, found.modified)
    assert not fieldset.intersection(found.added, found.removed)
    assert not fieldset.intersection(found.removed, found.modified)


@given(OBJECTS)
def test_what_is_mentioned_is_removed(one):
    fields = with_named_fields(THING, mentioned(THING, one))
    assert not mentioned(THING, removed(THING, one, fields) or {})


@given(OBJECTS, OBJECTS)
def test_removal_leaves_the_rest(live, applied):
    """What was laid over and taken away again leaves at most what was there."""
    both = merged(THING, live, applied)
    only = fieldset.difference(mentioned(THING, both), mentioned(THING, live))
    left = _without_nulls(removed(THING, both, only) or {})
    there = with_named_fields(THING, mentioned(THING, live))
    assert not fieldset.difference(mentioned(THING, left), there)


@given(OBJECTS)
def test_what_an_object_brings_covers_what_it_mentions(one):
    everything = {name: node for name, node in brought(THING, one).items() if name != "."}
    assert not fieldset.difference(mentioned(THING, one), everything)


def _without_nulls(value):
    """What is emptied is null."""
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _plain(one):
    """Lists that are merged have no order."""
    spec = dict(one["spec"])
    for name in ("set", "ports", "items"):
        if name in spec:
            spec[name] = sorted(map(repr, map(_sorted, spec[name])))
    return spec


def _sorted(item):
    if not isinstance(item, dict):
        return item
    return sorted((name, _sorted(value)) for name, value in item.items())
