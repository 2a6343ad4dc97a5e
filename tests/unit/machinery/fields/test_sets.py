"""Sets of fields: their arithmetic and their text."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.machinery.fields import fieldset, paths
from pilothouse.services.machinery.fields.paths import Malformed

ELEMENTS = st.sampled_from(
    ["f:a", "f:b", "f:c", 'k:{"name":"x"}', 'k:{"name":"y"}', 'v:"x"', "v:1", "i:0"]
)
PATHS = st.lists(ELEMENTS, min_size=1, max_size=4).map(tuple)
MEMBERS = st.sets(PATHS, max_size=8)


def of(members):
    result = {}
    for path in members:
        one = fieldset.LEAF
        for element in reversed(path):
            one = {element: one}
        result = fieldset.union(result, one)
    return result


def members(fields):
    return set(fieldset.members(fields))


@given(MEMBERS)
def test_a_set_is_its_members(wanted):
    assert members(of(wanted)) == wanted
    assert all(fieldset.has(of(wanted), path) for path in wanted)


@given(MEMBERS, MEMBERS)
def test_arithmetic_is_that_of_sets(one, other):
    assert members(fieldset.union(of(one), of(other))) == one | other
    assert members(fieldset.intersection(of(one), of(other))) == one & other
    assert members(fieldset.difference(of(one), of(other))) == one - other


@given(MEMBERS, MEMBERS)
def test_a_recursive_difference_takes_what_is_below(one, other):
    left = {path for path in one if not any(path[: n + 1] in other for n in range(len(path)))}
    assert members(fieldset.recursive_difference(of(one), of(other))) == left


@given(MEMBERS, MEMBERS)
def test_results_are_in_their_one_spelling(one, other):
    for operation in (fieldset.union, fieldset.intersection, fieldset.difference):
        result = operation(of(one), of(other))
        assert fieldset.from_json(result) == result


@given(MEMBERS)
def test_text_there_and_back(wanted):
    text = msgspec.json.encode(of(wanted), order="sorted")
    assert members(fieldset.from_json(msgspec.json.decode(text))) == wanted


def test_the_text_of_elements():
    assert paths.by_keys({"protocol": "TCP", "port": 80}) == 'k:{"port":80,"protocol":"TCP"}'
    assert paths.by_key("name", 'a"b') == 'k:{"name":"a\\"b"}'
    assert paths.by_value("a<b") == 'v:"a\\u003cb"'
    assert paths.canonical('k:{ "b": 1, "a": "x" }') == 'k:{"a":"x","b":1}'
    assert paths.canonical("z:what") is None


@pytest.mark.parametrize("element", ["", "f", "name", "k:{", 'k:"x"', "i:x", "v:{"])
def test_what_is_no_element_is_refused(element):
    with pytest.raises(Malformed):
        paths.canonical(element)


def test_a_path_as_messages_write_it():
    path = ["f:spec", 'k:{"port":80,"protocol":"TCP"}', "f:name", 'v:"x"', "i:3"]
    assert paths.show(path) == '.spec[port=80,protocol="TCP"].name[="x"][3]'


def test_members_are_sorted_as_values_are():
    fields = {"f:p": {'k:{"port":443}': {}, 'k:{"port":80}': {}, 'k:{"port":9}': {}}}
    assert [path[-1] for path in fieldset.members(fields)] == [
        'k:{"port":9}', 'k:{"port":80}', 'k:{"port":443}',
    ]  # fmt: skip


def test_sets_from_outside_lose_what_nobody_knows():
    found = fieldset.from_json({"f:a": {"z:new": {}, ".": {}}, ".": {}, "f:b": {"f:c": {}}})
    assert found == {"f:a": {}, "f:b": {"f:c": {}}}
    with pytest.raises(Malformed):
        fieldset.from_json({"f:a": 1})
