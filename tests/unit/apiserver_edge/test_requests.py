"""From method, path, headers and body to what is asked."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.apiserver.requests import Target
from pilothouse.services.apiserver.rest import bodies, exchange, negotiation, paths
from pilothouse.services.machinery.errors import (
    BadRequest,
    Invalid,
    NotAcceptable,
    NotFound,
    UnsupportedMediaType,
)

TABLES = frozenset({"Table"})


def asked(method, path, **query):
    found = paths.ask(method, paths.segments_of(path), query)
    return None if found is None else (found.verb, found.target, found.tail)


@pytest.mark.parametrize(
    ("method", "path", "verb", "target"),
    [
        ("GET", "/api/v1/pods", "list", Target("", "v1", "pods")),
        ("GET", "/api/v1/namespaces", "list", Target("", "v1", "namespaces")),
        ("GET", "/api/v1/namespaces/x", "get", Target("", "v1", "namespaces", "", "x")),
        (
            "PUT",
            "/api/v1/namespaces/x/finalize",
            "update",
            Target("", "v1", "namespaces", "", "x", "finalize"),
        ),
        ("POST", "/api/v1/namespaces/x/pods", "create", Target("", "v1", "pods", "x")),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/x/deployments/y/scale",
            "patch",
            Target("apps", "v1", "deployments", "x", "y", "scale"),
        ),
        ("DELETE", "/api/v1/nodes", "deletecollection", Target("", "v1", "nodes")),
        ("GET", "/api/v1/watch/pods", "watch", Target("", "v1", "pods")),
        ("PUT", "/api/v1/pods", "", Target("", "v1", "pods")),
    ],
)
def test_verbs_and_targets(method, path, verb, target):
    assert asked(method, path) == (verb, target, "")


def test_a_watch_is_a_list_that_goes_on():
    assert asked("GET", "/api/v1/pods", watch="true")[0] == "watch"
    assert asked("GET", "/api/v1/pods", watch="false")[0] == "list"
    assert asked("GET", "/api/v1/namespaces/x/pods/y", watch="1")[0] == "get"


def test_what_follows_a_subresource_is_kept():
    found = asked("GET", "/api/v1/namespaces/x/services/y/proxy/a/b")
    assert found[2] == "a/b"


@pytest.mark.parametrize("path", ["/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/"])
def test_paths_of_no_resource(path):
    assert asked("GET", path) is None


@pytest.mark.parametrize("path", ["/api/v1/../x", "/api/%2e%2e/x", "/a%2fb", "/a/.", "/a%00"])
def test_paths_that_no_name_may_hold(path):
    with pytest.raises(BadRequest):
        paths.segments_of(path)


def test_empty_segments_lead_nowhere():
    with pytest.raises(NotFound):
        paths.segments_of("/api//pods")


@pytest.mark.parametrize(
    ("header", "encoding", "shape"),
    [
        ("", "json", ""),
        ("*/*", "json", ""),
        ("application/json", "json", ""),
        ("application/yaml", "yaml", ""),
        ("application/vnd.kubernetes.protobuf, */*", "protobuf", ""),
        ("application/cbor, application/vnd.kubernetes.protobuf;q=0.5, */*;q=0.1", "protobuf", ""),
        ("application/vnd.kubernetes.protobuf,application/json", "protobuf", ""),
        ("application/json,application/vnd.kubernetes.protobuf", "json", ""),
        ("application/vnd.kubernetes.protobuf", "protobuf", ""),
        (
            "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json",
            "json",
            "",
        ),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "json", "Table"),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", "json", ""),
        ("application/json;q=0.1,application/yaml;q=0.9", "yaml", ""),
    ],
)
def test_what_is_accepted(header, encoding, shape):
    assert negotiation.accepted(header, TABLES) == negotiation.Accepted(encoding, shape)


@pytest.mark.parametrize(
    "header",
    [
        "text/html",
        "application/json;as=Table;v=v2;g=meta.k8s.io",
        "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io",
        "application/vnd.kubernetes.protobuf;q=0",
    ],
)
def test_what_can_not_be_given(header):
    with pytest.raises(NotAcceptable):
        negotiation.accepted(header, TABLES)


def test_bodies_of_other_types_are_refused():
    assert negotiation.body_encoding("application/vnd.kubernetes.protobuf") == "protobuf"
    with pytest.raises(UnsupportedMediaType, match="accepted media types"):
        negotiation.body_encoding("application/cbor")
    with pytest.raises(UnsupportedMediaType):
        negotiation.patch_type("application/json")


def test_duplicates_are_found_where_asked():
    body = b'{"a":1,"b":{"c":1,"c":2},"a":3}'
    assert bodies.decode(body, "json", "Warn").duplicates == [
        'duplicate field "a"', 'duplicate field "b.c"',
    ]  # fmt: skip
    assert bodies.decode(body, "json", "Ignore").value == {"a": 3, "b": {"c": 2}}
    with pytest.raises(BadRequest, match="duplicate"):
        bodies.decode(body, "json", "Strict")


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":{"b":[1,"\xc3\xa9"]}}\n',
        b'{"a":{"b":[1,"\\u00e9"]}}',
        b'{"a": {"b": [1.0, "\xc3\xa9"]}}',
    ],
)
def test_bodies_say_the_same_however_they_are_written(body):
    decoded = bodies.decode(body, "json", "Strict")
    assert decoded.value == {"a": {"b": [1, "é"]}}
    assert decoded.duplicates == []


@pytest.mark.parametrize(
    "body", [b'{"a":1,"a":1}', b'{"a":1e400}', b'{"a":1.0,"b":NaN}', b'{"a":1']
)
def test_what_only_looks_canonical_is_refused(body):
    with pytest.raises(BadRequest):
        bodies.decode(body, "json", "Strict")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), json_values))
def test_json_is_read_as_written(value):
    body = json.dumps(value).encode()
    assert bodies.decode(body, "json", "Warn") == bodies.Decoded(value)
    assert bodies.decode(body, "json", "Ignore").value == value


words = st.text("abcxyz.-", min_size=1, max_size=6).filter(lambda text: text[0].isalpha())


@given(st.dictionaries(words, st.integers() | st.booleans() | st.none() | words))
def test_yaml_is_read_as_written(value):
    body = yaml.safe_dump(value).encode()
    assert bodies.decode(body, "yaml", "Strict").value == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body):
    for encoding in ("json", "yaml"):
        try:
            bodies.decode(body, encoding, "Strict")
        except BadRequest:
            continue


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 2020-01-01", "2020-01-01"),
        ("1: x", None),
        ("a: 22:22", "22:22"),
        ("a: 1.5", 1.5),
        ("a: 1e3", 1000.0),
        ("a: -7", -7),
        ("a: 1.2.3", "1.2.3"),
        ("a: .inf", ".inf"),
        ("a: 0x10", 16),
        ("a: '1'", "1"),
        ("a: !!binary aGk=", BadRequest),
        ("a: &x 1\nb: *x", BadRequest),
    ],
)
def test_yaml_holds_only_what_json_can(text, value):
    if value is BadRequest:
        with pytest.raises(BadRequest):
            bodies.decode(text.encode(), "yaml", "Warn")
        return
    found = bodies.decode(text.encode(), "yaml", "Warn").value
    assert found.get("a") == value
    assert all(isinstance(key, str) for key in found)


def test_delete_options():
    content = {
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Foreground",
        "preconditions": {"uid": "u", "resourceVersion": "7"},
        "dryRun": ["All"],
    }
    found = exchange.delete_options({"gracePeriodSeconds": "5"}, content)
    assert (found.grace_period_seconds, found.propagation_policy) == (0, "Foreground")
    assert (found.uid, found.resource_version, found.dry_run) == ("u", "7", True)
    assert exchange.delete_options({"gracePeriodSeconds": "5"}, {}).grace_period_seconds == 5
    assert exchange.delete_options({"orphanDependents": "true"}, {}).propagation_policy == "Orphan"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ({"kind": "Pod"}, BadRequest),
        ({"gracePeriodSeconds": "x"}, BadRequest),
        ({"gracePeriodSeconds": True}, BadRequest),
        ({"propagationPolicy": "Maybe"}, Invalid),
        ({"propagationPolicy": "Orphan", "orphanDependents": True}, Invalid),
        ({"dryRun": ["Some"]}, Invalid),
        ({"preconditions": {"uid": 5}}, BadRequest),
    ],
)
def test_delete_options_that_are_refused(content, error):
    with pytest.raises(error):
        exchange.delete_options({}, content)
