"""Walks along the published schema: what is dropped, refused and named."""

import pytest

from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.kinds.schemas import published_schemas
from pilothouse.services.machinery.schema import scalars
from pilothouse.services.machinery.schema.report import Report, Unreadable, render
from pilothouse.services.machinery.schema.walker import Walkers

SCHEMAS = published_schemas()
WALKERS = Walkers(SCHEMAS.definition)


def walk(kind, body):
    report = Report()
    WALKERS.of_kind(kind)(body, None, report, "")
    return report


POD = "io.k8s.api.core.v1.Pod"
DEPLOYMENT = "io.k8s.api.apps.v1.Deployment"


def test_unknown_fields_and_nulls_are_dropped_and_the_unknown_named():
    body = {"spec": {"containers": [{"name": "c", "imagee": "x", "image": None}], "foo": {}}}
    report = walk(POD, body)
    assert body == {"spec": {"containers": [{"name": "c"}]}}
    assert report.unknown == ["spec.containers[0].imagee", "spec.foo"]


def test_missing_fields_are_named_but_not_in_status():
    report = walk(POD, {"spec": {"containers": [{}]}, "status": {"conditions": [{}]}})
    assert [cause.field for cause in report.missing] == ["spec.containers[0].name"]


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        (DEPLOYMENT, {"spec": {"replicas": "3"}},
         "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type "
         "int32"),
        (POD, {"spec": {"containers": {}}},
         "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type "
         "[]v1.Container"),
        (POD, {"spec": {"hostNetwork": "yes"}},
         "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type "
         "bool"),
        (POD, {"metadata": {"labels": {"a": 1}}},
         "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels.a of type "
         "string"),
        (POD, {"spec": {"terminationGracePeriodSeconds": 1.5}},
         "json: cannot unmarshal number 1.5 into Go struct field "
         "PodSpec.spec.terminationGracePeriodSeconds of type int64"),
        (DEPLOYMENT, {"spec": {"replicas": 2**31}},
         "json: cannot unmarshal number 2147483648 into Go struct field "
         "DeploymentSpec.spec.replicas of type int32"),
        (POD, {"spec": True},
         "json: cannot unmarshal bool into Go struct field Pod.spec of type v1.PodSpec"),
        (POD, {"metadata": {"creationTimestamp": "yesterday"}},
         'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday"'),
        ("io.k8s.api.core.v1.Secret", {"data": {"a": "*"}}, "illegal base64 data at input byte 0"),
    ],
)  # fmt: skip
def test_wrong_types_are_refused_in_the_words_of_the_real_server(kind, body, message):
    with pytest.raises(Unreadable) as refused:
        walk(kind, body)
    assert str(refused.value) == message


def test_quantities_get_their_one_spelling():
    body = {"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": 0.5,
            "memory": "1024Mi"}}}]}}  # fmt: skip
    walk(POD, body)
    assert body["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "500m", "memory": "1Gi"}


def test_a_definition_that_contains_itself_compiles():
    schema = {"openAPIV3Schema": {"properties": {"spec": {"properties": {"x": {"type": "string",
              "surprise": 1}}}}}}  # fmt: skip
    crd = {"spec": {"group": "a", "names": {"kind": "A", "plural": "as"}, "scope": "Namespaced",
                    "versions": [{"name": "v1", "served": True, "storage": True,
                                  "schema": schema}]}}  # fmt: skip
    report = walk(
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition", crd
    )
    assert len(report.unknown) == 1
    assert report.unknown[0].endswith("properties.spec.properties.x.surprise")


@pytest.mark.parametrize("kind", [kind.definition for kind in builtin_catalog().all()])
def test_every_kind_has_a_definition_that_compiles(kind):
    assert walk(kind, {"metadata": {"name": "x"}}).unknown == []


def test_paths_read_as_kubernetes_writes_them():
    path = ((((None, "spec"), "containers"), 0), "name")
    assert render(path) == "spec.containers[0].name"


@pytest.mark.parametrize(
    ("text", "byte"),
    [
        ("!!", 0), ("e30", 0), ("YWJj!", 4), ("YWJjZ", 4), ("YQ=", 3), ("YQ=x", 2), ("Y=", 1),
        ("YQ==x", 4), ("YW Jj", 2), ("YQ\n=", 4),
    ],
)  # fmt: skip
def test_where_base64_breaks_off(text, byte):
    with pytest.raises(Unreadable, match=f"illegal base64 data at input byte {byte}$"):
        scalars.octets(text, None, "")


def test_base64_may_have_lines():
    assert scalars.octets("YW\r\nJj\n", None, "") == "YW\r\nJj\n"
