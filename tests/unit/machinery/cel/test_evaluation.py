"""Values: arithmetic, comparison, logic, selection, folds, optionals."""

import math
import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.machinery.cel import types
from pilothouse.services.machinery.cel.environment import Environment
from pilothouse.services.machinery.cel.errors import BudgetExceeded, EvaluationError
from pilothouse.services.machinery.cel.program import compile_expression
from pilothouse.services.machinery.cel.schema import declare

ENVIRONMENT = Environment(
    {name: declare(types.DYN) for name in ("a", "b", "object")} | {"i": declare(types.INT)},
    bindings=True,
)


def value(source, **bindings):
    return compile_expression(source, ENVIRONMENT, None).evaluate(bindings)[0]


def fails(source, match, **bindings):
    with pytest.raises(EvaluationError, match=match):
        value(source, **bindings)


TRUE = [
    "dyn(1) == 1.0 && 1u == dyn(1) && !(dyn(1) == '1')",
    "1.5 > 1 && 2u < 3.0 && -1 < 1u",
    "double('NaN') != double('NaN')",
    "[1, 2] == [1, 2] && [1] != [1, 2] && {'a': 1} == {'a': 1}",
    "dyn(null) == null && !(dyn(1) == null)",
    "'abc' < 'abd' && b'a' < b'b' && false < true",
    "duration('1h') == duration('60m') && duration('90s').getMinutes() == 1",
    "duration('1h2m3s4ms').getMilliseconds() == 3723004 && dyn([1.0, 2.0]).sum() == 3.0",
    "timestamp('2020-01-01T00:00:00Z') + duration('24h') == timestamp('2020-01-02T00:00:00Z')",
    "timestamp('2020-01-01T01:00:00+01:00') == timestamp('2020-01-01T00:00:00Z')",
    "timestamp('2023-12-31T23:30:00Z').getDayOfYear('Asia/Tokyo') == 0",
    "timestamp('2020-02-01T00:00:00Z').getMonth() == 1",
    "timestamp('2020-02-02T00:00:00Z').getDayOfWeek() == 0",
    "timestamp('2020-02-02T00:00:00Z').getHours('-02:30') == 21",
    "string(timestamp('2020-02-02T00:00:00.5Z')) == '2020-02-02T00:00:00.5Z'",
    "string(duration('90m')) == '5400s' && int(duration('1s')) == 1000000000",
    "type(1) == int && type('') == string && type([]) == list && type(null) == null_type",
    "type(timestamp(0)) == google.protobuf.Timestamp && type(type(1)) == type",
    "int('42') == 42 && int(4.9) == 4 && uint('7') == 7u && string(1.0) == '1'",
    "double('1e3') == 1000.0 && bool('true') && string(b'abc') == 'abc' && bytes('a') == b'a'",
    "string(1e30) == '1e+30' && string(0.5) == '0.5' && string(1.5e-7) == '1.5e-07'",
    "string(123456.0) == '123456' && string(-1234567.0) == '-1.234567e+06' && string(0.0) == '0'",
    "'abc'.contains('b') && 'abc'.matches('^a.c$') && 'abc'.endsWith('c')",
    "size('h\u00e9') == 2 && size(b'\\xff') == 1 && size([1]) == 1 && {'a': 1}.size() == 1",
    "1 / 0 == 1 || true",
    "!(1 / 0 == 1 && false)",
    "[1, 2, 3].all(x, x > 0) && [1, 0].exists(x, 1 / x == 1) && ![0].exists(x, false)",
    "[1, 2, 2].exists_one(x, x == 1) && ![1, 2, 2].existsOne(i, x, x == 2)",
    "[1, 2, 3].map(x, x > 1, x * 2) == [4, 6] && [1, 2].filter(x, x > 1) == [2]",
    "{'a': 1, 'b': 2}.all(k, k < 'c') && {'a': 1}.exists(k, v, v == 1)",
    "[3, 4].transformList(i, v, i + v) == [3, 5]",
    "{'a': 1}.transformMap(k, v, v + 1) == {'a': 2}",
    "{'a': 'x'}.transformMapEntry(k, v, {v: k}) == {'x': 'a'}",
    "[[1, 2], [3]].map(x, x.map(y, y + 1)) == [[2, 3], [4]]",
    "[1].all(x, [2].all(x, x == 2) && x == 1)",
    "has({'a': 1}.a) && !has({'a': 1}.b)",
    "{1: 'a'}[dyn(1.0)] == 'a' && dyn(1u) in {1: 'a'} && !(dyn(true) in {1: 'a'})",
    "optional.of(1).hasValue() && !optional.none().hasValue()",
    "{'a': 1}.?b.orValue(2) == 2 && {'a': 1}[?'a'].value() == 1 && [1][?5] == optional.none()",
    "optional.of(2).optMap(x, x * 2) == optional.of(4)",
    "{'a': {'b': 1}}.?a.?b.optFlatMap(x, optional.none()).or(optional.of(9)).value() == 9",
    "optional.of({'c': {}}).c['missing'].orValue('none') == 'none'",
    "[?optional.of(1), ?optional.none(), 2] == [1, 2] && {?'a': optional.of(1)} == {'a': 1}",
    "optional.ofNonZeroValue('') == optional.none()",
    "cel.bind(x, [1, 2], x + x) == [1, 2, 1, 2] && cel.bind(y, 1 / 0, true)",
    "'%s is %d' != 'x' && '%s %.1f'.format(['a', 1.25]) == 'a 1.2'",
]


@pytest.mark.parametrize("source", TRUE)
def test_is_true(source):
    assert value(source) is True


ERRORS = [
    ("9223372036854775807 + 1 == 0", "integer overflow"),
    ("-(-9223372036854775807 - 1) == 0", "integer overflow"),
    ("0u - 1u == 0u", "unsigned integer overflow"),
    ("1 / 0 == 0", "division by zero"),
    ("1 % 0 == 0", "modulus by zero"),
    ("{'a': 1}.b == 1", "no such key: b"),
    ("[1][1] == 1", "index out of bounds: 1"),
    ("int('x') == 1", "invalid syntax"),
    ("int(a) == 1", "out of range"),
    ("timestamp('0001-01-01T00:00:00Z').getHours('-02:00') == 1", "out of range"),
    ("'%.200f'.format([1.0]) == ''", "precision"),
    ("uint(-1) == 1u", "unsigned integer overflow"),
    ("int(1e30) == 1", "integer overflow"),
    ("dyn('a') + dyn(1) == 1", "no such overload"),
    ("dyn(1) && true", "no such overload"),
    ("[1, 0].all(x, 2 / x == 2)", "division by zero"),
    ("[0].exists_one(x, 1 / x == 1)", "division by zero"),
    ("optional.none().value() == 1", "optional.none"),
    ("timestamp('2020-01-01T00:00:00Z').getHours('Mars/Base') == 1", "unknown time zone"),
    ("string(b'\\xff') == ''", "invalid UTF-8"),
    ("{'a': 1, 'a': 2}.size() == 1", "repeated key"),
]


@pytest.mark.parametrize(("source", "match"), ERRORS)
def test_has_no_value(source, match):
    fails(source, match, a="9" * 5000)


def test_json_of_no_known_schema_is_read_by_its_own_types():
    given_ = {"spec": {"replicas": 3, "share": 0.5, "items": [{"name": "x"}], "nothing": None}}
    assert value("object.spec.replicas == 3 && object.spec.share < 1.0", object=given_)
    assert value("object.spec.items.exists(i, i.name == 'x')", object=given_)
    assert value("has(object.spec.nothing) && object.spec.nothing == null", object=given_)
    assert value("!has(object.spec.absent)", object=given_)
    fails("object.spec.replicas.x == 1", "no such overload", object=given_)


def test_budgets_stop_loops_early():
    program = compile_expression("a.all(x, a.all(y, a.all(z, x + y + z >= 0)))", ENVIRONMENT)
    with pytest.raises(BudgetExceeded) as caught:
        program.evaluate({"a": list(range(1000))}, 10_000)
    assert 10_000 < caught.value.cost < 20_000


def test_patterns_that_make_backtracking_engines_hang_do_not():
    assert value("a.matches('^(a+)+$')", a="a" * 5000 + "!") is False


INTS = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.parametrize("symbol", ["+", "-", "*"])
@given(a=INTS, b=INTS)
def test_integers_overflow_or_are_exact(symbol, a, b):
    exact = {"+": operator.add, "-": operator.sub, "*": operator.mul}[symbol](a, b)
    if -(2**63) <= exact < 2**63:
        assert value(f"a {symbol} b", a=a, b=b) == exact
    else:
        fails(f"a {symbol} b", "integer overflow", a=a, b=b)


@given(a=INTS, b=INTS.filter(bool))
def test_division_truncates_and_the_remainder_has_the_dividends_sign(a, b):
    if (a, b) == (-(2**63), -1):
        return
    quotient, remainder = value("a / b", a=a, b=b), value("a % b", a=a, b=b)
    assert quotient * b + remainder == a
    assert abs(remainder) < abs(b)
    assert remainder == 0 or math.copysign(1, remainder) == math.copysign(1, a)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)


@given(JSON, JSON)
def test_equality_of_json_is_symmetric_and_knows_itself(one, other):
    assert value("a == a", a=one) is True
    assert value("a == b", a=one, b=other) is value("b == a", a=one, b=other)
    assert value("a != b", a=one, b=other) is not value("a == b", a=one, b=other)
