"""Objects of structural schemas as expressions see them."""

import pytest

from pilothouse.services.machinery.cel import types
from pilothouse.services.machinery.cel.environment import Environment
from pilothouse.services.machinery.cel.errors import CompileErrors, EvaluationError
from pilothouse.services.machinery.cel.escaping import escape, unescape
from pilothouse.services.machinery.cel.program import compile_expression
from pilothouse.services.machinery.cel.schema import optional, schema_type
from pilothouse.services.machinery.cel.values import NONE

TEXT = {"type": "string"}
SCHEMA = {
    "type": "object",
    "properties": {
        "namespace": TEXT,
        "when": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"},
        "long": {"type": "string", "format": "duration"},
        "data": {"type": "string", "format": "byte"},
        "share": {"type": "number"},
        "port": {"x-kubernetes-int-or-string": True},
        "maybe": {"type": "string", "nullable": True},
        "free": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"a": TEXT},
        },
        "labels": {
            "type": "object",
            "additionalProperties": {"type": "string", "format": "duration"},
        },
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "integer"}},
        "pairs": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "properties": {"k": TEXT, "v": TEXT}},
        },
        "pod": {"type": "object", "x-kubernetes-embedded-resource": True},
    },
}
SELF = schema_type(SCHEMA, root=True, name="self")
ENVIRONMENT = Environment({"self": SELF, "oldSelf": optional(SELF)})


def value(source, raw, old=NONE):
    return compile_expression(source, ENVIRONMENT, None).evaluate({"self": raw, "oldSelf": old})[0]


@pytest.mark.parametrize(
    ("source", "raw"),
    [
        ("self.when > timestamp('2020-01-01T00:00:00Z')", {"when": "2020-01-01T00:00:00.1Z"}),
        ("self.day == timestamp('2020-01-02T00:00:00Z')", {"day": "2020-01-02"}),
        ("self.long == duration('48h')", {"long": "2 days"}),
        ("self.data == b'AB'", {"data": "QUI="}),
        ("self.share == 1.0 && type(self.share) == double", {"share": 1}),
        ("type(self.port) == int ? self.port > 1 : self.port == 'http'", {"port": 80}),
        ("type(self.port) == int ? self.port > 1 : self.port == 'http'", {"port": "http"}),
        ("!has(self.maybe)", {"maybe": None}),
        ("self.labels.all(k, self.labels[k] > duration('0s'))", {"labels": {"a": "1s"}}),
        ("self.labels.a == duration('1s')", {"labels": {"a": "1s"}}),
        ("self.set == [2, 1] && self.set + [3, 1] == [1, 2, 3]", {"set": [1, 2]}),
        ("self.pairs + self.pairs == self.pairs", {"pairs": [{"k": "a"}, {"k": "b", "v": "1"}]}),
        ("self.pairs == [self.pairs[1], self.pairs[0]]", {"pairs": [{"k": "a"}, {"k": "b"}]}),
        (
            "self.pod.kind == 'Pod' && self.pod.metadata.name == 'x'",
            {"pod": {"kind": "Pod", "metadata": {"name": "x"}}},
        ),
        (
            "self.metadata.name.startsWith('x') && self.kind == 'K'",
            {"kind": "K", "metadata": {"name": "x1"}},
        ),
        ("self.free.a == 'b'", {"free": {"a": "b", "c": 1}}),
        ("!oldSelf.hasValue()", {}),
        ("self.namespace == 'n' && has(self.namespace)", {"namespace": "n"}),
    ],
)
def test_is_true(source, raw):
    assert value(source, raw) is True


def test_the_order_of_sets_and_associative_lists_does_not_matter():
    old = {"set": [1, 2, 3], "pairs": [{"k": "a"}, {"k": "b"}]}
    new = {"set": [3, 2, 1], "pairs": [{"k": "b"}, {"k": "a"}]}
    assert value("self == oldSelf.value()", new, old) is True
    assert value("self == oldSelf.value()", new, {**old, "set": [1, 2]}) is False


def test_hidden_fields_count_in_equality_only():
    with pytest.raises(CompileErrors, match="undefined field 'c'"):
        value("self.free.c == 1", {})
    one, other = {"free": {"c": 1}}, {"free": {"c": 2}}
    assert value("self.free == oldSelf.value().free", one, other) is False


def test_absent_fields_are_errors():
    with pytest.raises(EvaluationError, match="no such key: maybe"):
        value("self.maybe == 'a'", {"maybe": None})


def test_bad_texts_are_errors_where_they_are_read():
    assert value("has(self.when)", {"when": "nope"}) is True
    with pytest.raises(EvaluationError, match="nope"):
        value("self.when == self.when", {"when": "nope"})


def test_types_have_the_path_of_the_schema_in_messages():
    with pytest.raises(CompileErrors, match=r"applied to '\(self.pod, int\)'"):
        value("self.pod == 1", {})


@pytest.mark.parametrize(
    "schema", [{}, {"x-kubernetes-preserve-unknown-fields": True}, {"type": "array"}]
)
def test_what_has_no_type_is_not_visible(schema):
    assert schema_type(schema) is None


def test_bounds_come_from_the_schema_or_the_largest_request():
    def most(**schema):
        found = schema_type(schema)
        assert found is not None
        return found.max_elements

    assert most(type="string", maxLength=5) == 20
    assert most(type="string") == 3 * 1024 * 1024 - 2
    assert most(type="string", enum=["a", "bcd"]) == 3
    assert most(type="array", items={"type": "integer"}) == 1572863
    assert most(type="array", maxItems=7, items=TEXT) == 7
    assert most(type="object", additionalProperties=TEXT) == 393215


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("plain", "plain"),
        ("namespace", "__namespace__"),
        ("a-b.c/d", "a__dash__b__dot__c__slash__d"),
        ("a__b", "a__underscores__b"),
        ("1a", None),
        ("a b", None),
        ("", None),
    ],
)
def test_names_are_escaped(name, identifier):
    assert escape(name) == identifier
    if identifier is not None:
        assert unescape(identifier) == name


def test_bad_escapes_name_nothing():
    assert unescape("a__nope__b") is None
    assert types.struct("x", {}).fields == {}


def test_declared_objects_can_be_made():
    patch = types.struct(
        "JSONPatch", {"op": types.STRING, "path": types.STRING, "value": types.DYN}
    )
    environment = Environment({}, types={"JSONPatch": patch})
    source = "[JSONPatch{op: 'add', path: '/a', value: 1}]"
    program = compile_expression(source, environment, types.list_of(patch))
    assert program.evaluate({}) == ([{"op": "add", "path": "/a", "value": 1}], 50)
    with pytest.raises(CompileErrors, match="undefined field 'nope'"):
        compile_expression("JSONPatch{nope: 1}", environment, None)
    with pytest.raises(CompileErrors, match="expected type of field 'op' is 'string'"):
        compile_expression("JSONPatch{op: 1}", environment, None)
    with pytest.raises(CompileErrors, match="undeclared reference to 'Other'"):
        compile_expression("Other{op: 1}", environment, None)
