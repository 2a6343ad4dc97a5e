"""Rules of CEL, on create and on update; and the rules of definitions themselves."""

import pytest
from kit.definitions import CRONTAB, crd, custom, version

from pilothouse.services.apiserver.crds.estimates import check_rules
from pilothouse.services.apiserver.crds.openapi import Leniency, check_schema
from pilothouse.services.apiserver.crds.rules import check, check_update
from pilothouse.services.apiserver.crds.treatment import SchemaTreatment
from pilothouse.services.apiserver.strategies.definitions import default
from pilothouse.services.machinery.errors import Invalid


def spec(**properties):
    return {"type": "object", "properties": properties}


def rooted(**properties):
    return {"type": "object", "properties": {"spec": spec(**properties)}}


def ruled(rules, **properties):
    return {"type": "object", "properties": {
        "spec": {**spec(**properties), "x-kubernetes-validations": rules}}}  # fmt: skip


def treated(schema):
    return SchemaTreatment(schema, walkers=None)


def told(causes):
    return [(cause.field, cause.message) for cause in causes]


INTEGER = {"type": "integer"}
AT_MOST = "'at most 9, not %d'.format([self.most])"


def test_a_rule_says_what_it_was_told_to_say():
    schema = ruled(
        [
            {"rule": "self.least <= self.most"},
            {"rule": "self.least > 0", "message": "too few"},
            {"rule": "self.most < 10", "messageExpression": AT_MOST,
             "fieldPath": ".most", "reason": "FieldValueForbidden"},
        ],
        least=INTEGER, most=INTEGER,
    )  # fmt: skip
    document = {"spec": {"least": 0, "most": 12}}
    assert told(treated(schema).check(document)) == [
        ("spec", "Invalid value: too few"),
        ("spec.most", "Forbidden: at most 9, not 12"),
    ]
    document = {"spec": {"least": 3, "most": 2}}
    assert told(treated(schema).check(document)) == [
        ("spec", "Invalid value: failed rule: self.least <= self.most")
    ]


def test_transition_rules_need_something_before():
    schema = ruled(
        [
            {"rule": "self.size == oldSelf.size", "message": "size may not change"},
            {"rule": "oldSelf.hasValue() || self.size < 5", "optionalOldSelf": True,
             "message": "starts small"},
        ],
        size=INTEGER,
    )  # fmt: skip
    treatment = treated(schema)
    assert treatment.check({"spec": {"size": 1}}) == []
    assert told(treatment.check({"spec": {"size": 9}})) == [("spec", "Invalid value: starts small")]
    assert told(treatment.check_update({"spec": {"size": 9}}, {"spec": {"size": 8}})) == [
        ("spec", "Invalid value: size may not change")
    ]


def test_a_rule_broken_before_is_forgiven_where_nothing_changed():
    schema = rooted(
        name={"type": "string", "x-kubernetes-validations": [{"rule": "self.size() < 3"}]},
        other={"type": "string"},
    )
    old = {"spec": {"name": "long", "other": "a"}}
    assert treated(schema).check_update({"spec": {"name": "long", "other": "b"}}, old) == []
    assert told(treated(schema).check_update({"spec": {"name": "longer"}}, old)) == [
        ("spec.name", 'Invalid value: "longer": failed rule: self.size() < 3')
    ]


def test_rules_wait_for_sound_values():
    schema = ruled([{"rule": "self.size > 0"}], size=INTEGER)
    assert told(treated(schema).check({"spec": {"size": "x"}}))[1] == (
        "<nil>",
        "Invalid value: null: some validation rules were not checked because the object was "
        "invalid; correct the existing errors to complete validation",
    )


def test_items_of_keyed_lists_have_a_past():
    items = {
        "type": "object", "required": ["name"],
        "properties": {"name": {"type": "string"}, "size": INTEGER},
        "x-kubernetes-validations": [{"rule": "self.size >= oldSelf.size", "message": "shrinks"}],
    }  # fmt: skip
    keyed = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys":
             ["name"], "items": items, "maxItems": 10}  # fmt: skip
    schema = rooted(parts=keyed)
    old = {"spec": {"parts": [{"name": "a", "size": 2}, {"name": "b", "size": 2}]}}
    new = {"spec": {"parts": [{"name": "b", "size": 1}, {"name": "c", "size": 1}]}}
    assert told(treated(schema).check_update(new, old)) == [
        ("spec.parts[0]", "Invalid value: shrinks")
    ]


def test_rules_that_do_not_compile_or_cost_too_much_are_refused():
    found = told(check_rules(ruled([{"rule": "self.nothing > 1"}], size=INTEGER), "here"))
    assert found[0][0] == "here.properties[spec].x-kubernetes-validations[0].rule"
    assert "compilation failed: ERROR: <input>:1:5: undefined field 'nothing'" in found[0][1]
    found = told(check_rules(ruled([{"rule": "self.size"}], size=INTEGER), "here"))
    assert found[0][1].endswith("cel expression must evaluate to a bool")
    many = {"type": "array", "items": {"type": "string"}}
    dear = [{"rule": "self.many.all(a, self.many.all(b, a == b))"}]
    found = told(check_rules(ruled(dear, many=many), "here"))
    assert "estimated rule cost exceeds budget by factor of more than 100x" in found[0][1]
    item = {"type": "integer", "x-kubernetes-validations": [{"rule": "self >= oldSelf"}]}
    apart = rooted(many={"type": "array", "items": item, "maxItems": 3})
    found = told(check_rules(apart, "here"))
    assert "uncorrelatable portion of the schema within here.properties[spec]" in found[0][1]


def wrong(schema, *, has_status=False):
    return told(check_schema(schema, "s", Leniency(), has_status=has_status))


@pytest.mark.parametrize(
    ("schema", "field", "message"),
    [
        ({}, "s.type", "Required value: must not be empty at the root"),
        (rooted(a={}), "s.properties[spec].properties[a].type",
         "Required value: must not be empty for specified object fields"),
        (rooted(a={"type": "array"}), "s.properties[spec].properties[a].items",
         "Required value: must be specified"),
        (rooted(a={"type": "what"}), "s.properties[spec].properties[a].type",
         'Unsupported value: "what": supported values: "array", "boolean", "integer", "number", '
         '"object", "string"'),
        (rooted(a={"type": "string", "pattern": "("}), "s.properties[spec].properties[a].pattern",
         None),
        (rooted(a={"type": "integer", "default": "x"}),
         "s.properties[spec].properties[a].default", None),
        (rooted(a={"type": "object", "default": {"b": 1}, "properties": {}}),
         "s.properties[spec].properties[a].default",
         'Invalid value: {"b":1}: must not have unknown fields'),
        (rooted(a={"type": "string", "uniqueItems": True}),
         "s.properties[spec].properties[a].uniqueItems",
         "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes "
         "quadratic"),
        ({"type": "object", "properties": {"metadata": {"type": "object", "properties": {
            "labels": {"type": "object"}}}}}, "s.properties[metadata]",
         "Forbidden: must not specify anything other than name and generateName, but metadata is "
         "implicitly specified"),
        ({"type": "object", "oneOf": [{"properties": {"a": {}}}]}, "s.properties[a]",
         "Required value: because it is defined in s.oneOf[0].properties[a]"),
        (rooted(a={"type": "array", "items": {"type": "object", "properties": {"k": {
            "type": "string"}}}, "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"]}),
         "s.properties[spec].properties[a].items.properties[k].default",
         "Required value: this property is in x-kubernetes-list-map-keys, so it must have a "
         "default or be a required property"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_schema(schema, field, message):
    found = dict(wrong(schema))
    assert field in found, found
    if message is not None:
        assert found[field] == message


def test_a_sound_schema_passes():
    assert wrong(CRONTAB, has_status=True) == []
    assert wrong({"type": "object", "x-kubernetes-preserve-unknown-fields": True}) == []


def defined(**changes):
    body = crd(**changes)
    default(body)
    return body


def test_names_and_versions_of_a_definition():
    assert check(defined()) == []
    body = defined(group="example", versions=[version("V1"), version("v2")])
    found = dict(told(check(body)))
    assert found["spec.group"].endswith("should be a domain with at least one dot")
    assert "must have exactly one version marked as storage version" in found["spec.versions"]
    assert found["spec.versions[0].name"].startswith('Invalid value: "V1": a DNS-1035 label')
    body = defined()
    body["metadata"]["name"] = "other"
    assert told(check(body))[0] == (
        "metadata.name", 'Invalid value: "other": must be spec.names.plural+"."+spec.group',
    )  # fmt: skip
    body = defined(group="things.k8s.io")
    assert told(check(body))[0][0] == "metadata.annotations[api-approved.kubernetes.io]"
    body = defined(conversion={"strategy": "Webhook"})
    assert told(check(body)) == [
        ("spec.conversion.strategy",
         "Forbidden: conversion by webhook is not served yet, only None is"),
    ]  # fmt: skip


def test_what_can_not_change():
    old = defined()
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    new = defined(scope="Cluster", kind="Other", names={"listKind": "CronTabList"})
    new["status"] = old["status"]
    fields = [field for field, message in told(check_update(new, old)) if "immutable" in message]
    assert fields == ["spec.scope", "spec.names.kind"]
    new = defined(versions=[version("v2")])
    new["status"] = {"storedVersions": ["v1", "v2"]}
    assert told(check_update(new, old))[0][0] == "status.storedVersions[0]"


async def test_a_rule_in_a_definition_is_kept(define, client):
    schema = {**CRONTAB, "x-kubernetes-validations": [
        {"rule": "self.metadata.name.startsWith('a')", "message": "begins with a"}]}  # fmt: skip
    await define(versions=[version(schema=schema)])
    with pytest.raises(Invalid, match="<nil>: Invalid value: begins with a"):
        await client.create("stable.example.com/crontabs", custom("b"))
    await client.create("stable.example.com/crontabs", custom("a"))
