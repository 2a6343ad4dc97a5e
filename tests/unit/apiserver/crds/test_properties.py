"""What holds for every schema and every value."""

import copy

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.apiserver.crds.defaulting import compile_default, compile_null_removal
from pilothouse.services.apiserver.crds.lists import compile_lists
from pilothouse.services.apiserver.crds.pruning import compile_prune
from pilothouse.services.apiserver.crds.values import ABSENT, compile_check

NAMES = st.sampled_from(["a", "b", "c", "spec"])
SCALARS = st.one_of(
    st.fixed_dictionaries({"type": st.just("string")}, optional={"default": st.text(max_size=3)}),
    st.fixed_dictionaries({"type": st.just("integer")}, optional={"default": st.integers(0, 9)}),
    st.fixed_dictionaries({"type": st.just("boolean"), "nullable": st.booleans()}),
)


def larger(inner):
    return st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(NAMES, inner, max_size=3)},
            optional={"x-kubernetes-preserve-unknown-fields": st.just(True)},
        ),
        st.fixed_dictionaries({"type": st.just("object"), "additionalProperties": inner}),
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
    )


SCHEMAS = st.fixed_dictionaries(
    {
        "type": st.just("object"),
        "properties": st.dictionaries(NAMES, st.recursive(SCALARS, larger, max_leaves=8)),
    }
)
VALUES = st.dictionaries(
    NAMES,
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(0, 9), st.text(max_size=3)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)
        ),
        max_leaves=12,
    ),
)


@given(SCHEMAS, VALUES)
def test_pruning_twice_is_pruning_once(schema, value):
    prune = compile_prune(schema)
    before, dropped = copy.deepcopy(value), []
    changed = prune(value, None, dropped)
    assert changed == (value != before)
    again = copy.deepcopy(value)
    assert not prune(value, None, [])
    assert value == again


@given(SCHEMAS, VALUES)
def test_defaulting_twice_is_defaulting_once(schema, value):
    default = compile_default(schema)
    if default is None:
        return
    before = copy.deepcopy(value)
    assert default(value) == (value != before)
    again = copy.deepcopy(value)
    assert not default(value)
    assert value == again


@given(SCHEMAS, VALUES)
def test_nulls_go_once(schema, value):
    remove = compile_null_removal(schema)
    if remove is None:
        return
    before = copy.deepcopy(value)
    assert remove(value) == (value != before)
    assert not remove(value)


@given(SCHEMAS, VALUES)
def test_what_did_not_change_is_never_wrong_anew(schema, value):
    causes = []
    compile_check(schema)(value, copy.deepcopy(value), None, causes)
    assert causes == []
    compile_check(schema)(value, ABSENT, None, causes)
    checked = compile_lists(schema)
    if checked is not None:
        checked(value, None, causes)
