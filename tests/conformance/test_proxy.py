"""Proxying to pods and Services: every method, any path, ports by name and number."""

import json

import pytest
from kit.cluster import Cluster
from kit.official import Official
from kit.syllabus import line

PROXY = "network/proxy.go"
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
# Answers with what it was asked, by method and path; one connection each.
ECHO = r"""
cat > /tmp/answer <<'X'
read method target version; length=0
while read head; do
  head=$(echo "$head" | tr -d '\r'); [ -z "$head" ] && break
  case "$head" in [Cc]ontent-[Ll]ength:*) length=${head#*: };; esac
done
body=""; [ $length -gt 0 ] && body=$(head -c $length)
case "$target" in
  */moved) printf 'HTTP/1.1 302 Found\r\nLocation: /there?a=b\r\nConnection: close\r\n\r\n'; exit;;
  */page) printf 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<a href="/x">x</a>'; exit;;
esac
said="{\"method\": \"$method\", \"target\": \"$target\", \"body\": \"$body\"}"
printf 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n' ${#said}
[ $method = HEAD ] || printf '%s' "$said"
X
exec nc -ll -p 8080 -e sh /tmp/answer
"""  # noqa: E501 - a line is an answer


@pytest.fixture
def echo(cluster: Cluster, client: Official, namespace: str) -> str:
    """The path of a namespace with a pod and a Service ``echo``."""
    container = {
        "name": "main",
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", ECHO],
        "ports": [{"containerPort": 8080, "name": "http"}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    pod = {
        "metadata": {"name": "echo", "labels": {"app": "echo"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }
    port = {"name": "web", "port": 80, "targetPort": "http"}
    service = {
        "metadata": {"name": "echo"},
        "spec": {"selector": {"app": "echo"}, "ports": [port]},
    }
    client.core.create_namespaced_service(namespace, service)
    client.core.create_namespaced_pod(namespace, pod)
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/echo", "--timeout=60s")
    path = f"/api/v1/namespaces/{namespace}"
    cluster.eventually(
        "an endpoint", lambda: client.raw("GET", f"{path}/services/echo/proxy/").code == 200
        or client.raw("GET", f"{path}/services/echo:web/proxy/").code == 200
    )  # fmt: skip
    return path


def expect(client: Official, method: str, path: str, target: str) -> None:
    body = "sent" if method in {"POST", "PUT", "PATCH"} else None
    answer = client.raw(method, path, body)
    assert answer.code == 200, (method, answer)
    if method != "HEAD":
        assert json.loads(answer.body) == {"method": method, "target": target, "body": body or ""}


@line(PROXY, "pod and service Proxy, HTTP methods")
@pytest.mark.parametrize("whose", ["pods/echo", "services/echo:web"])
def test_every_method_reaches_the_root(client: Official, echo: str, whose: str) -> None:
    path = f"{echo}/{whose}/proxy"
    for method in METHODS:
        if method in {"GET", "HEAD"}:
            moved = client.raw(method, f"{path}?a=b")
            assert (moved.code, moved.headers["Location"]) == (301, f"{path}/?a=b")
        else:
            expect(client, method, f"{path}?method={method}", f"/?method={method}")
        expect(client, method, f"{path}/?method={method}", f"/?method={method}")


@line(PROXY, "pod and service ProxyWithPath")
@pytest.mark.parametrize("whose", ["pods/echo", "services/echo:web"])
def test_every_method_reaches_a_path(client: Official, echo: str, whose: str) -> None:
    for method in METHODS:
        tail = f"/some/path//with%2Fslash?method={method}"
        expect(client, method, f"{echo}/{whose}/proxy{tail}", tail)


@line(PROXY, "proxy through service and pod")
def test_ports_have_names_numbers_and_schemes(client: Official, echo: str) -> None:
    for whose in (
        "pods/echo", "pods/echo:8080", "pods/http:echo:8080",
        "services/echo:web", "services/echo:80", "services/http:echo:web", "services/http:echo:80",
    ):  # fmt: skip
        expect(client, "GET", f"{echo}/{whose}/proxy/x", "/x")
    prefix = f"{echo}/services/echo:80/proxy"
    assert client.raw("GET", f"{prefix}/moved").headers["Location"] == f"{prefix}/there?a=b"
    assert client.raw("GET", f"{prefix}/page").body.decode() == f'<a href="{prefix}/x">x</a>'
    silent = client.raw("GET", f"{echo}/pods/echo:9/proxy/")
    assert (silent.code, silent.json["reason"]) == (503, "ServiceUnavailable")
    assert "error trying to reach service: dial tcp" in silent.json["message"]
    absent = client.raw("GET", f"{echo}/services/echo:81/proxy/")
    assert absent.json["message"] == 'no service port 81 found for service "echo"'
