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


def policy(*expressions, rules=(RULE,), **more):
    spec = {
        **more,
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
        "oldObject == null || params.y == 1 && request.userInfo.groups.exists(g, g == 'a')",
        "namespaceObject.metadata.labels['a'] == request.resource.resource",
        "authorizer.group('apps').resource('deployments').check('get').allowed()",
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
        ("request.nam == ''", "undefined field 'nam'"),
        ("namespaceObject.metadata.labels == 'a'", "found no matching overload"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(expression, told):
    [warning] = checking.warnings(policy("true", expression), [kind()])
    assert warning.field_ref == "spec.validations[1].expression"
    assert warning.warning.startswith("example.com/v1, Kind=Thing: ERROR: <input>:1:")
    assert told in warning.warning


def said(*expressions, params=None, **more):
    found = checking.warnings(policy(*expressions, **more), [kind()], params)
    return [(item.field_ref, item.warning.partition("ERROR: ")[2].split("\n")[0]) for item in found]


def test_variables_have_the_types_of_their_expressions():
    variables = [
        {"name": "size", "expression": "object.spec.size"},
        {"name": "twice", "expression": "variables.size * 2"},
        {"name": "odd", "expression": "object.no.such.thing"},
    ]
    fits = ("variables.twice < 5", "variables.odd == 'anything'", "variables.size == 1")
    assert said(*fits, variables=variables) == []
    [overload, unknown] = said("variables.twice == 'a'", "variables.other", variables=variables)
    assert "found no matching overload for '_==_'" in overload[1]
    assert "undefined field 'other'" in unknown[1]


def test_parameters_have_their_kind():
    assert said("params.spec.size < 5 && params.spec.labels['a'] == 'b'", params=kind()) == []
    [(place, told)] = said("params.size < 5", params=kind())
    assert (place, "undefined field 'size'" in told) == ("spec.validations[0].expression", True)


def test_kinds_are_those_named_one_by_one():
    resources = ["things", "things/status", "*", "*/*"]
    many = {**RULE, "apiVersions": ["v1", "v2"], "resources": resources}
    everything = {**RULE, "apiGroups": ["*"]}
    assert checking.matched(policy(rules=[everything, many])) == [
        Matched("example.com", "v1", "things"),
        Matched("example.com", "v2", "things"),
    ]
    crowd = {**RULE, "resources": [f"r{number}" for number in range(30)]}
    assert len(checking.matched(policy(rules=[crowd]))) == checking.KINDS_MAX


def test_a_kind_that_is_not_there_has_no_schema():
    assert schemas.schema_of(DOCUMENT, "example.com", "v2", "Thing") is None
