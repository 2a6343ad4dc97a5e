"""Discovery and OpenAPI over HTTPS: tags, redirects, media types; and kubectl on top of them."""

import gzip

import pytest

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
PROTOBUF = "application/vnd.kubernetes.protobuf"
V2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
V3 = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
UNKNOWN_FIELD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: misspelt}
spec:
  replicsa: 1
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: b}]}}
"""


def accept(value, **more):
    return {"headers": {"Accept": value, **more}}


@pytest.mark.parametrize("path", ["/api", "/apis"])
def test_the_tag_of_aggregated_discovery(api, path):
    answer = api.get(path, **accept(AGGREGATED))
    assert answer.headers["Content-Type"] == AGGREGATED
    assert answer.headers["Vary"] == "Accept"
    assert answer.headers["Cache-Control"] == "public"
    tag = answer.headers["ETag"]
    held = api.get(path, **accept(AGGREGATED, **{"If-None-Match": tag}))
    assert (held.code, held.body) == (304, b"")
    other = api.get(path, **accept(AGGREGATED, **{"If-None-Match": '"other"'}))
    assert other.body == answer.body


def test_the_beta_form_is_gone_as_in_kubernetes(api):
    beta = AGGREGATED.replace("v=v2", "v=v2beta1")
    assert api.get("/apis", **accept(beta)).code == 406
    fallback = api.get("/apis", **accept(f"{beta},application/json"))
    assert fallback.json["kind"] == "APIGroupList"


@pytest.mark.parametrize(
    "path", ["/api", "/apis", "/apis/apps", "/api/v1", "/apis/apps/v1", "/apis/apps/v1/"]
)
def test_discovery_speaks_protobuf_and_yaml(api, path):
    answer = api.get(path, **accept(PROTOBUF))
    assert answer.headers["Content-Type"] == PROTOBUF
    assert answer.body.startswith(b"k8s\0")
    assert b"kind: " in api.get(path, **accept("application/yaml")).body
    assert api.get(path, **accept("text/html")).code == 406
    assert api.get(path, **accept("text/html, */*;q=0.8")).code == 200


def test_the_root_lists_paths(api):
    paths = api.get("/").json["paths"]
    assert paths == sorted(paths)
    assert {"/apis/apps/v1", "/openapi/v2", "/openid/v1/jwks", "/version"} <= set(paths)
    assert api.get("/version/").json["minor"] == "37"


def test_an_address_with_a_hash_never_changes(api):
    address = api.get("/openapi/v3").json["paths"]["apis/apps/v1"]["serverRelativeURL"]
    answer = api.get(address)
    assert answer.headers["Cache-Control"] == "public, immutable"
    assert "Expires" in answer.headers
    assert f"/openapi/v3/apis/apps/v1?hash={answer.headers['ETag'][1:-1]}" == address
    held = api.get(address, headers={"If-None-Match": answer.headers["ETag"]})
    assert held.code == 304
    # urllib follows the redirect to the address that is right.
    moved = api.get(address[:-4] + "0000")
    assert moved.json["info"] == answer.json["info"]
    plain = api.get("/openapi/v3/apis/apps/v1")
    assert "immutable" not in plain.headers["Cache-Control"]
    assert plain.body == answer.body


@pytest.mark.parametrize(
    ("path", "packed"), [("/openapi/v2", V2), ("/openapi/v3/apis/apps/v1", V3)]
)
def test_openapi_is_given_in_each_form(api, path, packed):
    answer = api.get(path, **accept(f"{packed}, application/json;q=0.5"))
    assert answer.headers["Content-Type"] == packed.replace("@", ".")
    document = api.get(path, **accept("application/json"))
    assert document.headers["ETag"] == answer.headers["ETag"]
    assert document.json["info"]["title"] == "Kubernetes"
    small = api.get(path, **accept("application/json", **{"Accept-Encoding": "gzip"}))
    assert small.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.body) == document.body
    assert api.get(path, **accept("text/html")).code == 406


def test_what_is_not_served_has_no_document(api):
    for path in ("/openapi", "/openapi/v4", "/openapi/v3/apis/none/v1", "/apis/none"):
        assert api.get(path).code == 404, path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pods.spec.containers.resources"], "limits\t<map[string]Quantity>"),
        (["deployment", "--recursive"], "maxSurge\t<IntOrString>"),
        (["pod.spec.containers.ports", "--output=plaintext-openapiv2"], "hostPort\t<integer>"),
        (["hpa", "--api-version=autoscaling/v1"], "VERSION:    v1"),
        (["crd.spec.versions.schema.openAPIV3Schema"], "$ref\t<string>"),
    ],
)
def test_kubectl_explains(api, arguments, said):
    assert said in api.kubectl("explain", *arguments)


@pytest.mark.parametrize(
    "command",
    [
        ["create", "--validate=strict"],
        ["apply", "--validate=true"],
        ["apply", "--server-side"],
        ["create", "--validate=strict", "--dry-run=server"],
    ],
)
def test_kubectl_has_unknown_fields_refused(api, command):
    said = api.kubectl(*command, "-f", "-", stdin=UNKNOWN_FIELD, fails=True)
    assert "replicsa" in said
    warned = api.kubectl("create", "--validate=ignore", "--dry-run=server", "-f", "-",
                         stdin=UNKNOWN_FIELD)  # fmt: skip
    assert "created" in warned
