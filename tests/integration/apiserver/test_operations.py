"""Each of the operations that conformance is about has its route, its verb and its answer."""

import http.client
import json
import ssl
from pathlib import Path

import pytest

OPERATIONS = (
    Path(__file__).parents[2] / "unit" / "apiserver_edge" / "operations.txt"
).read_text().split()  # fmt: skip
NAME = "nothing-has-this-name"
PLACES = {"namespace": "default", "name": NAME, "path": "some/path"}
# What each sort of operation says where there is nothing of that name.
CODES = {
    "get": {404}, "list": {200}, "put": {404, 422}, "patch": {404}, "delete": {404},
    "deletecollection": {200}, "post": {400, 404, 422}, "connect": {400, 404}, None: {200},
}  # fmt: skip
CREATED_BY_UPDATE = {"Endpoints", "Event", "Lease", "LimitRange", "RuntimeClass", "Service"}


@pytest.fixture(scope="module")
def ask(api):
    """One connection for all."""
    context = ssl.create_default_context(cafile=str(api.pki / "ca.crt"))
    context.load_cert_chain(api.pki / "admin.crt", api.pki / "admin.key")
    host, _, port = api.url.removeprefix("https://").partition(":")
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=20)

    def once(method, path, body=None, media="application/json"):
        headers = {} if body is None else {"Content-Type": media}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else {}

    yield once
    connection.close()


@pytest.fixture(scope="module")
def operations(ask):
    """By id: method, path, action and kind, as the server's own OpenAPI tells."""
    _, document = ask("GET", "/openapi/v2")
    return {
        operation["operationId"]: (
            method.upper(), path, operation.get("x-kubernetes-action"),
            operation.get("x-kubernetes-group-version-kind", {}).get("kind"),
        )
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }  # fmt: skip


def asked(method, path, action):
    """Path, body and media type of a request that finds nothing."""
    path = path.format(**PLACES)
    if action == "deletecollection":
        path += "?labelSelector=nothing=here"
    if action == "patch":
        return path, {}, "application/merge-patch+json"
    body = {"post": {}, "put": {"metadata": {"name": NAME}}}.get(action)
    return path, body, "application/json"


def test_every_operation_is_served(ask, operations):
    wrong = []
    for operation in OPERATIONS:
        method, path, action, kind = operations[operation]
        code, answer = ask(method, *asked(method, path, action))
        whole = path.endswith("{name}")
        codes = {201, 422} if action == "put" and kind in CREATED_BY_UPDATE and whole else CODES
        expected = codes if isinstance(codes, set) else codes[action]
        unknown = "could not find the requested resource" in answer.get("message", "")
        if code not in expected or unknown:
            wrong.append(f"{operation}: {method} {path}: {code} {answer}")
        elif code == 201:
            assert ask("DELETE", path.format(**PLACES))[0] == 200
        elif code == 404 and method != "HEAD":
            assert answer["reason"] == "NotFound"
            assert answer["details"]["name"] == NAME
    assert wrong == []


def test_no_other_method_is(ask, operations):
    """The methods that a path does not have are refused by name."""
    paths = {operations[name][1] for name in OPERATIONS if operations[name][2] != "connect"}
    for path in sorted(paths):
        has = {method for method, known, *_ in operations.values() if known == path}
        for method in {"POST", "PUT", "PATCH", "DELETE"} - has:
            code, answer = ask(method, path.format(**PLACES), {})
            assert (code, answer["reason"]) == (405, "MethodNotAllowed"), (method, path)


def test_a_cascade_that_takes_its_time_is_accepted(ask):
    maps = "/api/v1/namespaces/default/configmaps"
    held = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    assert ask("POST", maps, held)[0] == 201
    assert ask("DELETE", f"{maps}/held", {"orphanDependents": False})[0] == 202
    assert ask("DELETE", f"{maps}/held", {"propagationPolicy": "Background"})[0] == 200
    freed = {"metadata": {"finalizers": None}}
    assert ask("PATCH", f"{maps}/held", freed, "application/merge-patch+json")[0] == 200
    assert ask("GET", f"{maps}/held")[0] == 404


@pytest.mark.parametrize(
    ("sub", "kind", "more"),
    [("binding", "Binding", {"target": {"name": "n"}}), ("eviction", "Eviction", {})],
)
def test_acts_are_on_the_pod_of_the_path(ask, sub, kind, more):
    path = f"/api/v1/namespaces/default/pods/one/{sub}"
    code, answer = ask("POST", path, {"metadata": {"name": "other"}, **more})
    assert code == 400
    assert answer["message"] == f"name in URL does not match name in {kind} object"
