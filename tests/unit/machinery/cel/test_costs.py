"""Costs: the numbers are those that Kubernetes' own tests hold stable."""

import pytest

from pilothouse.services.machinery.cel.environment import Environment
from pilothouse.services.machinery.cel.program import compile_expression
from pilothouse.services.machinery.cel.schema import schema_type
from pilothouse.services.machinery.cel.sizes import MOST

TEXT, INTEGER = {"type": "string"}, {"type": "integer"}
INTEGERS, TEXTS = {"type": "array", "items": INTEGER}, {"type": "array", "items": TEXT}


def object_of(**properties):
    return {"type": "object", "properties": properties}


RUN_TIME = [
    (INTEGER, 2**63 - 1, "type(self.v) == int", 4),
    ({"type": "number"}, 1.5, "5 < int(10.0)", 1),
    (TEXT, "Rook takes", "self.v.startsWith('Rook')", 3),
    (TEXT, "Rook takes", "self.v.split(' ') == ['Rook', 'takes']", 5),
    (TEXT, "Rook takes", "self.v.substring(0, 4) == 'Rook'", 4),
    (
        {"type": "string", "format": "duration"},
        "1h2m3s4ms",
        "self.v == duration('1h2m') + duration('3s4ms')",
        4,
    ),
    (TEXT, "Pending", "self.v in ['Pending', 'Available']", 2),
    (INTEGERS, [1, 2, 3], "1 in self.v", 5),
    (INTEGERS, [1, 2, 3], "self.v[0] in self.v", 8),
    (INTEGERS, [1, 2, 3], "self.v + [4, 5] == [1, 2, 3, 4, 5]", 4),
    (TEXTS, ["a", "b", "c"], "sets.contains(self.v, ['a'])", 6),
    (TEXTS, ["a", "b", "c"], "sets.equivalent(self.v, ['a', 'b', 'c'])", 21),
    (
        {"type": "object", "additionalProperties": INTEGER},
        {"b": 1, "d": 2},
        "self.v.all(k, self.v[k] > 0)",
        17,
    ),
    (
        {"type": "object", "additionalProperties": INTEGER},
        {"b": 1, "d": 2},
        "self.v.existsOne(k, x, x == 2)",
        10,
    ),
    (
        {"type": "object", "additionalProperties": INTEGER},
        {"b": 1, "d": 2},
        "self.v.transformMap(k, x, x > 1, x + 1).size() == 1",
        14,
    ),
    (
        {"type": "object", "additionalProperties": INTEGER},
        {"b": 1, "d": 2},
        "size(self.v.filter(k, self.v[k] > 1)) == 1",
        26,
    ),
    (object_of(b=INTEGER), {"b": 1}, "has(self.v.b)", 2),
]


@pytest.mark.parametrize(("schema", "raw", "source", "cost"), RUN_TIME)
def test_evaluations_cost(schema, raw, source, cost):
    declaration = schema_type(object_of(v=schema))
    program = compile_expression(source, Environment({"self": declaration}))
    assert program.evaluate({"self": {"v": raw}}) == (True, cost)


STATIC = [
    ({"type": "array", "items": {"type": "number"}}, "self.all(x, true)", 4718591),
    ({"type": "array", "items": {"type": "number"}, "maxItems": 10}, "self.all(x, true)", 32),
    ({"type": "array", "items": TEXT}, "self.all(x, true)", 3145727),
    ({"type": "array", "items": INTEGERS, "maxItems": 100}, "self.all(x, true)", 302),
    ({"type": "object", "additionalProperties": {"type": "number"}}, "self.all(x, true)", 1348169),
    (TEXT, "self.contains('test')", 314574),
    ({**TEXT, "maxLength": 10}, "self.contains('test')", 5),
    (TEXT, "self.startsWith('test')", 2),
    (TEXT, "size(self + 'hello') > size('hello')", 314578),
    ({**TEXTS, "maxItems": 8}, "self[1] == self[1]", 314577),
    (
        {"type": "array", "items": {"type": "number"}, "maxItems": 10},
        "self.all(x, self.all(y, true))",
        352,
    ),
    (TEXT, "self.matches('x')", 314574),
    (TEXT, "''.matches('(((((((((())))))))))[0-9]')", 7),
]


@pytest.mark.parametrize(("schema", "source", "cost"), STATIC)
def test_estimates_come_from_the_bounds(schema, source, cost):
    declaration = schema_type(schema)
    program = compile_expression(source, Environment({"self": declaration}))
    assert program.cost_estimate(declaration).max == cost


def test_nested_loops_over_unbounded_lists_are_beyond_every_limit():
    declaration = schema_type({"type": "array", "items": {"type": "number"}})
    source = "self.all(x, self.all(y, true))"
    program = compile_expression(source, Environment({"self": declaration}))
    assert program.cost_estimate(declaration).max > 100_000_000


def test_without_bounds_sizes_are_unbounded_and_nothing_overflows():
    declaration = schema_type(INTEGERS)
    source = "self.all(x, self.all(y, self.all(z, true)))"
    program = compile_expression(source, Environment({"self": declaration}))
    assert program.cost_estimate().max == MOST


def test_the_least_cost_takes_the_short_way():
    declaration = schema_type(object_of(a=INTEGER, b=INTEGER))
    program = compile_expression("self.a > 1 || self.b > 1", Environment({"self": declaration}))
    estimate = program.cost_estimate(declaration)
    assert (estimate.min, estimate.max) == (3, 6)
    assert program.evaluate({"self": {"a": 2, "b": 0}})[1] == 3
    assert program.evaluate({"self": {"a": 0, "b": 2}})[1] == 6
