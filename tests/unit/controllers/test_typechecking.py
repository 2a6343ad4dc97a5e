"""Policies' expressions against types: what is wrong is said, what may be anything is not."""

import msgspec
import pytest

from pilothouse.services.controllers.policy.typechecking import checking, schemas
from pilothouse.services.controllers.policy.typechecking.checking import Matched, Typed
from pilothouse.services.machinery.kinds.validating import ValidatingAdmissionPolicy

REF = "#/components/schemas/"
DOCUMENT = {
    "components": {
        "schemas": {
            "Thing": {
                "type": "object",
                "x-kubernetes-group-version-kind": [
                    {"group": "example.com", "version": "v1", "kind": "Thing"}
                ],
                "properties": {
                    "spec": {"allOf": [{"$ref": REF + "Spec"}], "default": {}},
                    "metadata": {"type": "object"},
                },
            },
            "Spec": {
                "type": "object",
                "properties": {
                    "size": {"type": "integer"},
                    "port": {"type": "string", "format": "int-or-string"},
                    "amount": {"oneOf": [{"type": "string"}, {"type": "number"}]},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "below": {"$ref": REF + "Spec"},
                    "names": {"type": "array", "items": {"type": "string"}},
                    "free": {"type": "object"},
                },
            },
        }
    }
}
RULE = {"apiGroups": ["example.com"], "apiVersions": ["v1"], "resources": ["things"]}


def policy(*expressions, rules=(RULE,)):
    spec = {
        "matchConstraints": {"resourceRules": list(rules)},
        "validations": [{"expression": text} for text in expressions],
    }
    return msgspec.convert({"metadata": {"name": "p"}, "spec": spec}, ValidatingAdmissionPolicy)


def kind():
    schema = schemas.schema_of(DOCUMENT, "example.com", "v1", "Thing")
    return Typed("example.com", "v1", "Thing", schema)


@pytest.mark.parametrize(
    "expression",
    [
        "object.spec.size < 5",
        "object.spec.port == 80 || object.spec.port == 'http'",
        "object.spec.amount == '1'",
        "object.spec.labels['a'] == 'b'",
        "object.spec.below.anything.at.all",
        "object.spec.names.all(name, name.startsWith('a'))",
        "object.spec.free.anything",
        "object.metadata.name == 'x' && object.kind == 'Thing'",
        "oldObject == null || variables.x == params.y && request.name != ''",
    ],
)
def test_what_fits_or_may_be_anything_is_not_spoken_of(expression):
    assert checking.warnings(policy(expression), [kind()]) == ()


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("object.size < 5", "undefined field 'size'"),
        ("object.spec.size == 'a'", "found no matching overload for '_==_'"),
        ("object.spec.names.startsWith('a')", "found no matching overload"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(expression, told):
    [warning] = checking.warnings(policy("true", expression), [kind()])
    assert warning.field_ref == "spec.validations[1].expression"
    assert warning.warning.startswith("example.com/v1, Kind=Thing: ERROR: <input>:1:")
    assert told in warning.warning


def test_kinds_are_those_named_one_by_one():
    many = {**RULE, "apiVersions": ["v1", "v2"], "resources": ["things", "things/status"]}
    everything = {**RULE, "resources": ["*"]}
    assert checking.matched(policy(rules=[everything, many])) == [
        Matched("example.com", "v1", "things"),
        Matched("example.com", "v2", "things"),
    ]
    crowd = {**RULE, "resources": [f"r{number}" for number in range(30)]}
    assert len(checking.matched(policy(rules=[crowd]))) == checking.KINDS_MAX


def test_a_kind_that_is_not_there_has_no_schema():
    assert schemas.schema_of(DOCUMENT, "example.com", "v2", "Thing") is None
