"""Protobuf and JSON of the same object: facts against the schemas, round trips, bad bytes."""

import base64
import json
import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.apiserver.kinds.catalog import builtin_catalog, definition_of
from pilothouse.services.apiserver.kinds.schemas import published_schemas, reference
from pilothouse.services.machinery.errors import BadRequest, UnsupportedMediaType
from pilothouse.services.machinery.protobuf import envelope
from pilothouse.services.machinery.protobuf.messages import EMBEDDED, SCALARS, published
from pilothouse.services.machinery.protobuf.wire import delimited, varint

SCHEMAS = published_schemas()
KINDS = {(kind.api_version, kind.kind): kind.definition for kind in builtin_catalog().all()}
SUBRESOURCES = {
    (f"{sub.group}/{sub.version}".removeprefix("/"), sub.kind):
        definition_of(sub.group, sub.version, sub.kind)
    for kind in builtin_catalog().all()
    for sub in kind.subresources.values()
    if not sub.kind.endswith("Options")
}  # fmt: skip
ALL = {**KINDS, **SUBRESOURCES}
# Alpha fields that were added after the published message definitions we have.
UNKNOWN = {
    ("io.k8s.api.resource.v1.DeviceSubRequest", "derivedAttributes"),
    ("io.k8s.api.resource.v1.ExactDeviceRequest", "derivedAttributes"),
}
# What JSON shows as one value has no properties in the schemas.
VALUES = {
    "Quantity": lambda dice: dice.choice(["1", "100m", "2Gi", "0"]),
    "IntOrString": lambda dice: dice.choice([0, 1, -(2**31), "50%", "http"]),
    "Time": lambda dice: dice.choice(["2026-07-24T01:02:03Z", "1970-01-01T00:00:00Z"]),
    "MicroTime": lambda _: "2026-07-24T01:02:03.000045Z",
    "JSON": lambda dice: dice.choice([1, "a", True, {"a": [None]}]),
    "RawExtension": lambda _: {"kind": "X", "list": [1, None, {}, 1.5]},
    "FieldsV1": lambda _: {"f:metadata": {"f:labels": {".": {}}}},
    "JSONSchemaPropsOrArray": lambda dice: dice.choice([{"type": "a"}, [{"type": "b"}]]),
    "JSONSchemaPropsOrBool": lambda dice: dice.choice([{"type": "a"}, True, False]),
    "JSONSchemaPropsOrStringArray": lambda dice: dice.choice([{"type": "a"}, ["b"]]),
}


def properties(message):
    """Names in JSON of a message's fields, those of embedded messages among them."""
    names = set()
    for field in published().fields(message):
        if field.name != EMBEDDED:
            names.add(field.name)
        elif field.type not in SCALARS:
            names |= properties(field.type)
    return names


def met(message, definition, seen):
    """Walk message and definition along each other; the differences of their fields."""
    if message in seen or "properties" not in SCHEMAS.definition(definition):
        return []
    seen.add(message)
    schema = SCHEMAS.definition(definition)["properties"]
    typed = {"apiVersion", "kind"} - properties(message)
    wrong = [(definition, name) for name in properties(message) ^ (schema.keys() - typed)]
    for field in published().fields(message):
        inner = schema.get(field.name, {})
        inner = inner.get("items") or inner.get("additionalProperties") or inner
        if field.name in schema and reference(inner) and field.type not in SCALARS:
            wrong += met(field.type, reference(inner), seen)
    return wrong


def test_messages_have_the_fields_that_the_schemas_have():
    seen, wrong = set(), []
    for (version, kind), definition in ALL.items():
        wrong += met(published().of_kind(version, kind), definition, seen)
    assert set(wrong) == UNKNOWN
    assert len(seen) > 400


def generate(schema, dice, level=0):
    """Some value of a schema, without the zeros that JSON leaves out."""
    named = reference(schema)
    if named:
        short = named.rpartition(".")[2]
        return VALUES[short](dice) if short in VALUES else an_object(named, dice, level + 1)
    types = schema.get("type")
    type_ = next(word for word in types if word != "null") if isinstance(types, list) else types
    if type_ == "object":
        inner = schema.get("additionalProperties", {"type": "string"})
        return {dice.choice("aé-"): generate(inner, dice, level) for _ in range(2)}
    if type_ == "array":
        return [generate(schema["items"], dice, level) for _ in range(dice.randint(1, 2))]
    return scalar(type_, schema.get("format"), dice)


def scalar(type_, form, dice):
    """A number, text or true."""
    bits = 31 if form == "int32" else 63
    text = dice.choice(["a", "ü" * 70, "x" * 130])
    return {
        "integer": dice.choice([1, -1, 300, -(2**bits), 2**bits - 1]),
        "number": dice.choice([1.5, -2.0, 1e300]),
        "boolean": True,
        "string": base64.b64encode(text.encode()).decode() if form == "byte" else text,
    }[type_]


def an_object(definition, dice, level=0):
    schema = SCHEMAS.definition(definition)
    found = {}
    typed = "metadata" in schema.get("properties", {}) or definition.endswith("DeleteOptions")
    for name, inner in schema.get("properties", {}).items():
        if typed and name in {"apiVersion", "kind"}:
            continue
        wanted = name in schema.get("required", ()) or dice.random() < 1 / (1 + level)
        if wanted and level < 7 and (definition, name) not in UNKNOWN:
            found[name] = generate(inner, dice, level)
    return found


def grown(version, kind, seed):
    """A document of a kind, the same for the same seed."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    return an_object(ALL[version, kind], dice) | {"apiVersion": version, "kind": kind}


def full(value):
    """The value without empty objects and lists, which protobuf may not tell from none."""
    if isinstance(value, dict):
        kept = {key: full(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner not in ({}, [])}
    return [full(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("version", "kind"), sorted(ALL), ids=lambda word: word)
def test_every_kind_comes_back(version, kind):
    for seed in range(3):
        document = grown(version, kind, seed)
        assert full(envelope.decode(envelope.encode(document))) == full(document)


def unknown(version, kind, raw):
    named = delimited(1, version.encode()) + delimited(2, kind.encode())
    return b"k8s\0" + delimited(1, named) + delimited(2, raw)


def text(number, value):
    return delimited(number, value.encode())


def whole(number, value):
    return varint(number << 3) + varint(value)


# As the generated code of client-go writes it: values always, pointers when they are set.
META = text(1, "foo") + text(2, "") + text(3, "") + text(5, "") + whole(7, 0) + delimited(8, b"")


SENT_BY_KUBECTL = [
    ("6b3873000a0f0a02763112094e616d657370616365121b0a130a03666f6f12001a0022002a00320038004200"
     "12001a020a001a002200",
     {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "foo"}, "spec": {},
      "status": {}}),
    ("6b3873000a320a17617574686f72697a6174696f6e2e6b38732e696f2f7631121753656c665375626a6563744163"
     "63657373526576696577123f0a100a0012001a0022002a0032003800420012210a1f0a0764656661756c74120663"
     "72656174651a0022002a04706f647332003a001a08080012001a0020001a002200",
     {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {},
      "spec": {"resourceAttributes": {"namespace": "default", "verb": "create",
                                      "resource": "pods"}},
      "status": {"allowed": False}}),
    ("6b3873000a280a1861757468656e7469636174696f6e2e6b38732e696f2f7631120c546f6b656e52657175657374"
     "121a0a100a0012001a0022002a0032003800420012001a040a0012001a002200",
     {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {},
      "spec": {"audiences": []}, "status": {"token": ""}}),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "document"), SENT_BY_KUBECTL)
def test_bodies_as_kubectl_sends_them(sent, document):
    assert envelope.decode(bytes.fromhex(sent)) == document


def test_a_pod():
    probe = delimited(1, delimited(2, text(1, "/") + delimited(2, whole(1, 1) + whole(2, 0)
            + text(3, "http")))) + whole(2, 0) + whole(3, 5) + whole(7, 0)  # fmt: skip
    requests = delimited(2, text(1, "cpu") + delimited(2, text(1, "100m")))
    selector = delimited(3, delimited(1, text(1, "cm")) + text(2, "k") + whole(3, 0))
    container = (
        text(1, "c") + text(2, "") + delimited(6, text(1, "") + whole(2, 0) + whole(3, 80))
        + delimited(7, text(1, "A") + text(2, "") + delimited(3, selector))
        + delimited(8, requests) + delimited(10, probe) + whole(16, 0)
    )  # fmt: skip
    volume = text(1, "v") + delimited(2, delimited(2, text(1, "") + delimited(2, text(1, "1Mi"))))
    spec = (
        delimited(1, volume) + delimited(2, container) + whole(4, 0) + whole(11, 0)
        + whole(21, 0) + whole(5, 2**64 - 1)
    )  # fmt: skip
    body = unknown("v1", "Pod", delimited(1, META) + delimited(2, spec))
    assert envelope.decode(body)["spec"] == {
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}],
        "containers": [{
            "name": "c",
            "ports": [{"containerPort": 80}],
            "env": [{"name": "A", "valueFrom": {
                "configMapKeyRef": {"name": "cm", "key": "k", "optional": False}}}],
            "resources": {"requests": {"cpu": "100m"}},
            "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "timeoutSeconds": 5,
                              "terminationGracePeriodSeconds": 0},
        }],
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "activeDeadlineSeconds": -1,
    }  # fmt: skip


def test_options_and_reviews():
    options = whole(1, 0) + delimited(2, text(1, "u")) + text(4, "Background") + text(5, "All")
    for version in ("v1", "apps/v1", "example.com/v1"):
        assert envelope.decode(unknown(version, "DeleteOptions", options)) == {
            "kind": "DeleteOptions", "apiVersion": version, "gracePeriodSeconds": 0,
            "preconditions": {"uid": "u"}, "propagationPolicy": "Background", "dryRun": ["All"],
        }  # fmt: skip
    asked = text(1, "ns") + text(2, "create") + text(3, "") + text(5, "pods")
    review = delimited(1, META) + delimited(2, delimited(1, asked)) + delimited(3, whole(1, 0))
    found = envelope.decode(unknown("authorization.k8s.io/v1", "SelfSubjectAccessReview", review))
    attributes = {"namespace": "ns", "verb": "create", "resource": "pods"}
    assert found["spec"] == {"resourceAttributes": attributes}
    assert found["status"] == {"allowed": False}


def test_lists_that_json_always_has_and_lists_of_lists():
    found = envelope.decode(unknown("rbac.authorization.k8s.io/v1", "Role", b""))
    assert found["rules"] == []
    spec = delimited(5, text(1, "k") + delimited(2, text(1, "a") + text(1, "b")))
    body = unknown("authorization.k8s.io/v1", "SubjectAccessReview", delimited(2, spec))
    assert envelope.decode(body)["spec"] == {"extra": {"k": ["a", "b"]}}


@pytest.mark.parametrize(
    ("body", "error", "told"),
    [
        (b"", BadRequest, "does not appear"),
        (b'{"kind": "Pod"}', BadRequest, "does not appear"),
        (b"k8s\0", BadRequest, "of which kind"),
        (unknown("v1", "Nonsense", b""), BadRequest, 'no kind "Nonsense"'),
        (unknown("example.com/v1", "Foo", b""), UnsupportedMediaType, "example.com/v1"),
        (unknown("v1", "Pod", b"\x0a\x05ab"), BadRequest, "EOF"),
        (unknown("v1", "Pod", b"\x0a"), BadRequest, "EOF"),
        (unknown("v1", "Pod", b"\x0a" + b"\xff" * 11), BadRequest, "64 bits"),
        (unknown("v1", "Pod", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), BadRequest, "EOF"),
        (unknown("v1", "Pod", b"\x08\x01"), BadRequest, "wire type"),
        (unknown("v1", "Pod", b"\x9b\x06"), BadRequest, "wire type 3"),
        (unknown("v1", "Pod", b"\x02\x00"), BadRequest, "illegal tag"),
        (unknown("v1", "Pod", delimited(1, text(1, "a")[:-1] + b"\xff")), BadRequest, "UTF-8"),
        (unknown("v1", "Pod", delimited(1, delimited(8, whole(1, 2**62)))), BadRequest, "years"),
        (unknown("v1", "Pod", delimited(1, delimited(8, whole(2, 2**31 - 1)))), BadRequest, "nano"),
        (unknown("apps/v1", "ControllerRevision", delimited(2, text(1, "{"))), BadRequest, "JSON"),
        (unknown("v1", "Pod", b"") + text(3, "gzip"), BadRequest, "encoded"),
        (unknown("v1", "Pod", b"") + text(4, "application/json"), BadRequest, "something else"),
        (unknown("v1", "Pod", delimited(2, delimited(2, b"") * 100_001)), BadRequest, "too many"),
    ],
)  # fmt: skip
def test_bad_bytes_are_refused_with_a_reason(body, error, told):
    with pytest.raises(error, match=told):
        envelope.decode(body)


def test_depth_is_limited():
    raw = b""
    for _ in range(200):
        raw = delimited(25, raw)
    schema = delimited(2, delimited(7, delimited(4, delimited(1, raw))))
    with pytest.raises(BadRequest, match="too deeply"):
        envelope.decode(unknown("apiextensions.k8s.io/v1", "CustomResourceDefinition", schema))


def test_fields_of_a_later_version_are_passed_over():
    later = whole(900, 7) + text(901, "x") + varint(902 << 3 | 5) + b"1234" + varint(903 << 3 | 1)
    body = unknown("v1", "Namespace", later + b"12345678" + delimited(1, text(1, "foo")))
    assert envelope.decode(body)["metadata"] == {"name": "foo"}


SEEDS = [envelope.encode(grown(version, kind, 1)) for version, kind in sorted(ALL)]
REFUSALS = (BadRequest, UnsupportedMediaType)


@given(body=st.sampled_from(SEEDS), data=st.data())
def test_mangled_bodies_are_refused_or_read(body, data):
    mangled = bytearray(body)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(4, len(mangled) - 1))
        mangled[at] = data.draw(st.integers(0, 255))
    del mangled[data.draw(st.integers(5, len(mangled))) :]
    with suppress(*REFUSALS):
        json.dumps(envelope.decode(bytes(mangled)), allow_nan=False)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(content):
    with suppress(*REFUSALS):
        json.dumps(envelope.decode(unknown("v1", "Pod", content)), allow_nan=False)
