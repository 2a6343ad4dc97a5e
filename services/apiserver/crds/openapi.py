"""The rules of a version's ``openAPIV3Schema``. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pilothouse.services.apiserver.crds.estimates import check_rules
from pilothouse.services.apiserver.crds.mapkeys import check_lists
from pilothouse.services.apiserver.crds.pruning import EMBEDDED, META, PRESERVE
from pilothouse.services.apiserver.crds.structural import check_structural
from pilothouse.services.apiserver.crds.surroundings import check_defaults
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

Schema = Mapping[str, Any]

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
# What may stand at the root beside a status that is written apart, by upstream's names.
_AT_ROOT = {
    "description": "Description", "type": "Type", "format": "Format", "title": "Title",
    "maximum": "Maximum", "exclusiveMaximum": "ExclusiveMaximum", "minimum": "Minimum",
    "exclusiveMinimum": "ExclusiveMinimum", "maxLength": "MaxLength", "minLength": "MinLength",
    "pattern": "Pattern", "maxItems": "MaxItems", "minItems": "MinItems",
    "uniqueItems": "UniqueItems", "multipleOf": "MultipleOf", "required": "Required",
    "items": "Items", "properties": "Properties", "externalDocs": "ExternalDocs",
    "example": "Example", PRESERVE: "XPreserveUnknownFields",
    "x-kubernetes-validations": "XValidations",
}  # fmt: skip
_UNSUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")


@dataclass(frozen=True, slots=True)
class Leniency:
    """What a changed definition may keep because it had it already."""

    schemaless: bool = False
    before: Mapping[str, Schema] = field(default_factory=dict)
    unchanged: bool = False

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> "Leniency":
        """What the old ``spec`` excuses."""
        schemas = {
            version["name"]: (version.get("schema") or {}).get("openAPIV3Schema")
            for version in spec.get("versions") or ()
        }
        known = {name: schema for name, schema in schemas.items() if schema is not None}
        return cls(schemaless=len(known) < len(schemas), before=known)

    def of_version(self, name: str, schema: Schema) -> "Leniency":
        """The same for one version."""
        return replace(self, unchanged=self.before.get(name) == schema)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a schema stands: whether a default may stand there, and whether that is metadata."""

    defaults: bool = True
    why: str = ""
    meta: bool = False


def check_schema(schema: Schema, where: str, lenient: Leniency, *, has_status: bool) -> list[Cause]:
    """What is wrong with a whole schema, which stands at ``where``."""
    if lenient.unchanged:
        return []
    causes = _check_root(schema, where) if has_status else []
    if schema.get("nullable"):
        causes.append(names.forbidden(f"{where}.nullable", "nullable cannot be true at the root"))
    wrong = check_structural(schema, where)
    causes += wrong
    rules = _check(schema, where, _Place(), root=True)
    if not wrong and not rules:
        rules = check_defaults(schema, where) or check_rules(schema, where)
    return causes + rules


def _check_root(schema: Schema, where: str) -> list[Cause]:
    if schema.get("type", "") != "object":
        detail = (
            'only "object" is allowed as the type at the root of the schema if the status '
            "subresource is enabled"
        )
        return [names.invalid(f"{where}.type", schema.get("type", ""), detail)]
    if all(name in _AT_ROOT for name, value in schema.items() if value):
        return []
    listed = " ".join(_AT_ROOT.values())
    detail = (
        f"only [{listed}] fields are allowed at the root of the schema if the status subresource "
        "is enabled"
    )
    return [names.invalid(where, schema, detail)]


def _check(schema: Schema, where: str, place: _Place, *, root: bool = False) -> list[Cause]:
    causes = _check_words(schema, where, place)
    if schema.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        causes.append(names.forbidden(f"{where}.uniqueItems", detail))
    causes += _check_values(schema, where, place)
    for name, inner in (schema.get("properties") or {}).items():
        below = place
        if (root or schema.get(EMBEDDED)) and name in META:
            below = replace(below, meta=True)
            if root:
                below = replace(below, defaults=False, why=f" in top-level {name}")
        causes += _check(inner, f"{where}.properties[{name}]", below)
    if isinstance(schema.get("not"), dict):
        causes += _check(schema["not"], f"{where}.not", place)
    for junctor in ("allOf", "oneOf", "anyOf"):
        for index, inner in enumerate(schema.get(junctor) or ()):
            causes += _check(inner, f"{where}.{junctor}[{index}]", place)
    if isinstance(schema.get("items"), dict):
        causes += _check(schema["items"], f"{where}.items", place)
    return causes + check_lists(schema, where) + _check_rules(schema, where)


def _check_values(schema: Schema, where: str, place: _Place) -> list[Cause]:
    values = schema.get("additionalProperties")
    if values is None:
        return []
    causes = []
    if schema.get("properties") and values is not True:
        detail = "additionalProperties and properties are mutual exclusive"
        causes.append(names.forbidden(f"{where}.additionalProperties", detail))
    if isinstance(values, dict):
        below = place
        if place.meta:
            why = " inside additionalProperties applying to object metadata"
            below = replace(place, defaults=False, why=why)
        causes += _check(values, f"{where}.additionalProperties", below)
    return causes


def _check_words(schema: Schema, where: str, place: _Place) -> list[Cause]:
    """What OpenAPI or JSON schema has, and Kubernetes not."""
    causes = []
    type_ = schema.get("type") or ""
    if type_ and type_ not in _TYPES:
        causes.append(names.unsupported(f"{where}.type", type_, _TYPES))
    if schema.get("default") is not None and not place.defaults:
        causes.append(names.forbidden(f"{where}.default", f"must not be set{place.why}"))
    causes += [
        names.forbidden(f"{where}.{name}", f"{name} is not supported")
        for name in _UNSUPPORTED
        if schema.get(name)
    ]
    if type_ == "null":
        detail = "type cannot be set to null, use nullable as an alternative"
        causes.append(names.forbidden(f"{where}.type", detail))
    if isinstance(schema.get("items"), list):
        detail = "items must be a schema object and not an array"
        causes.append(names.forbidden(f"{where}.items", detail))
    if place.meta and schema.get(EMBEDDED):
        detail = "must not be used inside of resource meta"
        causes.append(names.forbidden(f"{where}.{EMBEDDED}", detail))
    if schema.get(PRESERVE) is False:
        detail = "must be true or undefined"
        causes.append(names.invalid(f"{where}.{PRESERVE}", False, detail))
    return causes


def _check_rules(schema: Schema, where: str) -> list[Cause]:
    """The texts of ``x-kubernetes-validations``."""
    causes: list[Cause] = []
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        causes += _check_rule(rule, f"{where}.x-kubernetes-validations[{index}]")
    return causes


_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")


def _check_rule(rule: Mapping[str, Any], where: str) -> list[Cause]:
    text, message = (rule.get("rule") or "").strip(), rule.get("message") or ""
    expression, path = rule.get("messageExpression") or "", rule.get("fieldPath") or ""
    causes = []
    if not text:
        causes.append(names.required(f"{where}.rule", "rule is not specified"))
    elif message and not message.strip():
        detail = "must be non-empty if specified"
        causes.append(names.invalid(f"{where}.message", message, detail))
    elif _broken(message.strip()):
        causes.append(names.invalid(f"{where}.message", message, "must not contain line breaks"))
    elif _broken(text) and not message.strip():
        detail = "message must be specified if rule contains line breaks"
        causes.append(names.required(f"{where}.message", detail))
    if expression and not expression.strip():
        detail = "messageExpression must be non-empty if specified"
        causes.append(names.required(f"{where}.messageExpression", detail))
    if rule.get("reason") and rule["reason"] not in _REASONS:
        causes.append(names.unsupported(f"{where}.reason", rule["reason"], _REASONS))
    if path and not path.strip():
        causes.append(names.invalid(f"{where}.fieldPath", path, "must be non-empty if specified"))
    if _broken(path):
        causes.append(names.invalid(f"{where}.fieldPath", path, "must not contain line breaks"))
    return causes


def _broken(text: str) -> bool:
    return "\n" in text or "\r" in text
