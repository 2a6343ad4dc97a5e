"""What nobody should send: each answered with a Status that is no fault of the server's."""

import gzip
import json
import socket
import ssl
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MAPS = "/api/v1/namespaces/default/configmaps?dryRun=All"
HEAD = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},'
BOUNDED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def config_map(**more):
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, **more}
    return json.dumps(document).encode()


def with_metadata(**more):
    return config_map(metadata={"name": "x", **more})


def no_fault(answer):
    """Answered, and refused properly where it was refused."""
    assert answer.code < 500, answer.body[:500]
    if answer.code >= 400:
        assert answer.json["kind"] == "Status"
        assert answer.json["code"] == answer.code
        assert len(answer.body) < 1_000_000


REFUSED = {
    "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "deep in the data": f'{HEAD}"data":{"[" * 5000}{"]" * 5000}}}'.encode(),
    "huge float": f'{HEAD}"data":{{"a":1e400}}}}'.encode(),
    "huge float nobody knows": f'{HEAD}"foo":1e400}}'.encode(),
    "huge integer": f'{HEAD}"foo":{"9" * 100_000}}}'.encode(),
    "beyond 64 bits": with_metadata(generation=2**63),
    "deep and twice": f'{{"a":1,"a":2,"x":{"[" * 980}{"]" * 980}}}'.encode(),
    "NaN": b'{"a":NaN}',
    "NUL": b'{"a":"\0"}',
    "NUL in a name": with_metadata(name="a\0b"),
    "invalid UTF-8": f'{HEAD}"data":{{"a":"'.encode() + b'\xff"}}',
    "byte order mark": b"\xef\xbb\xbf" + config_map(),
    "half a character in a name": f'{HEAD[:-6]}"\\ud800"}}}}'.encode(),
    "half a character in a label": with_metadata(labels={"a": "\ud800"}),
    "bad labels": with_metadata(labels={f"l {n}": "v v" for n in range(10_000)}),
    "owners": with_metadata(ownerReferences=[{}] * 100_000),
    "three megabytes": config_map(data={"a": "x" * 3_000_000}),
    "metadata that is text": config_map(metadata="x"),
    "labels that are a list": with_metadata(labels=["a"]),
}


@pytest.mark.parametrize("validation", ["Strict", "Ignore"])
@pytest.mark.parametrize("case", REFUSED)
def test_refused(api, case, validation):
    answer = api.request("POST", f"{MAPS}&fieldValidation={validation}", REFUSED[case])
    no_fault(answer)
    if (case, validation) != ("huge float nobody knows", "Ignore"):
        assert answer.code in (400, 413, 422), answer.body[:300]


def test_much_of_everything_is_no_fault(api):
    no_fault(api.request("POST", MAPS, with_metadata(labels={f"l{n}": "v" for n in range(10_000)})))
    no_fault(api.request("POST", MAPS, with_metadata(finalizers=["a/b"] * 100_000)))
    unknown = config_map(**{f"f{n}": 1 for n in range(100_000)})
    answer = api.request("POST", MAPS, unknown)
    no_fault(answer)
    no_fault(api.request("POST", f"{MAPS}&fieldValidation=Strict", unknown))


def test_patches_of_many_elements_are_no_fault(api):
    path = "/api/v1/namespaces/kube-system?dryRun=All"
    headers = {"Content-Type": "application/strategic-merge-patch+json"}
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "x"}
    owners = [{**owner, "uid": str(number)} for number in range(25_000)]
    order = [{"uid": item["uid"]} for item in reversed(owners)]
    metadata = {"ownerReferences": owners, "$setElementOrder/ownerReferences": order}
    body = json.dumps({"metadata": metadata}).encode()
    no_fault(api.request("PATCH", path, body, headers=headers))
    doubling = [{"op": "copy", "from": "/metadata", "path": f"/metadata/{n}"} for n in range(40)]
    headers = {"Content-Type": "application/json-patch+json"}
    answer = api.request("PATCH", path, doubling, headers=headers)
    no_fault(answer)
    assert answer.code == 422


def test_half_characters_are_replaced_as_go_does(api):
    body = f'{HEAD}"data":{{"a":"\\ud83d\\ude00 \\ud800 \\\\ud800"}}}}'.encode()
    for validation in ("Warn", "Ignore"):
        answer = api.request("POST", f"{MAPS}&fieldValidation={validation}", body)
        assert answer.json["data"] == {"a": "\U0001f600 \ufffd \\ud800"}


@pytest.mark.parametrize(
    "body",
    [
        b"a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]",
        b"[" * 100_000,
        b"- " * 100_000,
        "".join(" " * n + "a:\n" for n in range(2000)).encode(),
        b"a: .inf",
        b"a: 1e999999",
        b"a: " + b"9" * 6000,
        b"a: \0",
        b"a: \xff",
        b"---\n" * 10_000,
        b'a: "\\ud800"',
    ],
)
def test_refused_yaml(api, body):
    answer = api.request("POST", MAPS, body, headers={"Content-Type": "application/yaml"})
    no_fault(answer)
    assert answer.code in (400, 422)


@pytest.mark.parametrize(
    ("body", "encoding", "code"),
    [
        (gzip.compress(config_map()), "gzip", 201),
        (gzip.compress(b" " * 100_000_000), "gzip", 413),
        (b"junk", "gzip", 400),
        (b"junk", "deflate", 400),
    ],
)
def test_compressed_bodies(api, body, encoding, code):
    answer = api.request("POST", MAPS, body, headers={"Content-Encoding": encoding})
    no_fault(answer)
    assert answer.code == code


@pytest.mark.parametrize(
    "query",
    [
        "limit=abc", "limit=" + "9" * 5000, "resourceVersion=" + "9" * 30,
        "resourceVersion=" + "9" * 5000, "timeoutSeconds=" + "9" * 400, "timeout=10", "timeout=x",
        "continue=abc", "labelSelector=(((", "labelSelector=%00", "labelSelector=" + "a,," * 9000,
        "fieldSelector=a=b=c", "fieldSelector=%ff", "labelSelector=a>" + "9" * 5000,
    ],
)  # fmt: skip
def test_refused_queries(api, query):
    answer = api.get(f"/api/v1/pods?{query}")
    no_fault(answer)
    assert answer.code >= 400
    # What a watch does not look at may stand there.
    more = "" if query.startswith("timeoutSeconds") else "&timeoutSeconds=1"
    no_fault(api.get(f"/api/v1/pods?watch=1&{query}{more}"))


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/%2f/pods", "/api/v1/namespaces/..%2f..%2f/pods", "//api//v1",
        "/api/v1/../../etc", "/api/v1/namespaces/default/pods/%00", "/apis/%ff/v1/x",
        "/" + "a/" * 20_000, "/api/v1/namespaces/default/pods/" + "a" * 60_000, "/%zz",
    ],
)  # fmt: skip
def test_refused_paths(api, path):
    answer = api.get(path)
    no_fault(answer)
    assert answer.code >= 400


def raw(api, *pieces):
    """The first line of what comes back for these bytes, sent one after the other."""
    context = ssl.create_default_context(cafile=str(api.pki / "ca.crt"))
    context.load_cert_chain(api.pki / "admin.crt", api.pki / "admin.key")
    host, _, port = api.url.removeprefix("https://").partition(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as wrapped,
    ):
        for number, piece in enumerate(pieces):
            time.sleep(0.05 * bool(number))
            wrapped.sendall(piece)
        return wrapped.recv(65536).split(b"\r\n")[0]


POST = b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "head",
    [
        POST + b"Content-Length: -5\r\n\r\n",
        POST + b"Content-Length: abc\r\n\r\n",
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        POST + b"Content-Length: 4000000\r\n\r\n",
        POST + b"Expect: 100-continue\r\nContent-Length: 4000000000\r\n\r\n",
        b"GET /version HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /version HTTP/1.1\r\nHost: x\r\nfoo\r\n\r\n",
        b"GET /version HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
        b"GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_refused_heads(api, head):
    assert raw(api, head).split(b" ")[1][:1] == b"4"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"Transfer-Encoding: chunked", b"zz\r\n{}\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}", b"xx\r\n0\r\n\r\n"),
        (b"Content-Length: 4\r\nContent-Encoding: deflate", b"junk"),
        (b"Content-Length: 4\r\nContent-Encoding: gzip", b"junk"),
    ],
)
def test_bodies_that_turn_bad(api, head, body):
    end = b"" if b"\r\n\r\n" in head else b"\r\n\r\n"
    assert raw(api, POST + head + end, body).split(b" ")[1] == b"400"


def test_a_body_that_does_not_come_is_its_sender_s_fault(api):
    late = POST.replace(b" HTTP", b"?timeout=100ms HTTP")
    assert raw(api, late + b"Content-Length: 10\r\n\r\n{}").split(b" ")[1] == b"408"


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from(["metadata", "data", "binaryData", "immutable", "kind", "apiVersion", "x"])


@BOUNDED
@given(document=st.dictionaries(FIELDS, VALUES, max_size=5))
def test_any_document(api, document):
    whole = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}
    no_fault(api.request("POST", MAPS, json.dumps(whole | document).encode()))


@BOUNDED
@given(spec=VALUES, metadata=VALUES)
def test_any_pod(api, spec, metadata):
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
    container = {"name": "a", "image": "a", "resources": metadata, "env": spec, "ports": metadata}
    path = "/api/v1/namespaces/default/pods?dryRun=All"
    no_fault(api.request("POST", path, json.dumps(body).encode()))
    body["spec"] = {"containers": [container], "volumes": spec, "affinity": metadata}
    no_fault(api.request("POST", path, json.dumps(body).encode()))


@BOUNDED
@given(body=st.binary(max_size=200), prefix=st.sampled_from([b"", b"k8s\0", b"{", b"a: "]))
@pytest.mark.parametrize("kind", ["json", "yaml", "vnd.kubernetes.protobuf"])
def test_any_bytes(api, body, prefix, kind):
    headers = {"Content-Type": f"application/{kind}"}
    no_fault(api.request("POST", MAPS, prefix + body, headers=headers))


@BOUNDED
@given(
    sort=st.sampled_from(["json-patch", "merge-patch", "strategic-merge-patch"]),
    patch=VALUES | st.lists(st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"])},
        optional={"path": st.text(max_size=9), "from": st.text(max_size=9), "value": VALUES},
    ), max_size=3),
)  # fmt: skip
def test_any_patch(api, sort, patch):
    path = "/api/v1/namespaces/kube-system?dryRun=All"
    headers = {"Content-Type": f"application/{sort}+json"}
    no_fault(api.request("PATCH", path, json.dumps(patch).encode(), headers=headers))
