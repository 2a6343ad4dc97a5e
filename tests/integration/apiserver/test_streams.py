"""Logs, exec and port forwarding, relayed to a small kubelet of the test's own."""

import asyncio
import contextlib
import json
import socket
import ssl
import threading

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from pilothouse.services.runtime.hijacking import Hijacked, hijack

NODE = "node-1"
SUCCESS = {"metadata": {}, "status": "Success"}


class FakeKubelet:
    """Speaks the kubelet's paths with the node's certificate; ``asked`` is what it was asked."""

    def __init__(self, pki):
        self.asked = []
        self.port = 0
        self._pki = pki
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        self._started.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        # Closed TLS connections let go of their sockets a turn of the loop later.
        self._loop.run_until_complete(asyncio.sleep(0.2))
        self._loop.close()

    async def _start(self):
        app = web.Application()
        app.router.add_get("/containerLogs/{ns}/{pod}/{container}", self._logs)
        app.router.add_get("/exec/{ns}/{pod}/{container}", self._exec)
        app.router.add_post("/exec/{ns}/{pod}/{container}", self._spdy)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/attach/{ns}/{pod}/{container}", self._refuse)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(
            self._pki / f"kubelet-{NODE}.crt", self._pki / f"kubelet-{NODE}.key"
        )
        context.load_verify_locations(self._pki / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]

    def _note(self, request):
        subject = dict(part[0] for part in request.transport.get_extra_info("peercert")["subject"])
        self.asked.append((request.path, dict(request.query), subject["commonName"]))

    async def _logs(self, request):
        self._note(request)
        if request.query.get("previous"):
            return web.Response(status=400, text="previous terminated container not found")
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        await response.write(b"two\n")
        if request.query.get("follow"):
            with contextlib.suppress(ConnectionError):
                for _ in range(100):
                    await asyncio.sleep(0.1)
                    await response.write(b"more\n")
        return response

    async def _exec(self, request):
        self._note(request)
        if request.query.getall("command") == ["refuse"]:
            raise web.HTTPBadRequest(text="the container is not running")
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io", "v4.channel.k8s.io"))
        await socket.prepare(request)
        command = request.query.getall("command")
        if command == ["cat"]:
            async for message in socket:
                if message.type == WSMsgType.BINARY and message.data[:1] == b"\x00":
                    await socket.send_bytes(b"\x01" + message.data[1:])
                if message.type == WSMsgType.BINARY and message.data[:2] == b"\xff\x00":
                    break
        else:
            await socket.send_bytes(b"\x01" + " ".join(command).encode() + b"\n")
        await socket.send_bytes(b"\x03" + json.dumps(SUCCESS).encode())
        await socket.close()
        return socket

    async def _healthz(self, request):
        return web.Response(text="ok")

    async def _spdy(self, request):
        self._note(request)
        chosen = request.headers["X-Stream-Protocol-Version"]
        head = (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
            f"X-Stream-Protocol-Version: {chosen}\r\n\r\n"
        )
        async with hijack(request, head.encode()) as (reader, writer):
            writer.write(await reader.read(100))
            await writer.drain()
        return Hijacked(101)

    async def _refuse(self, request):
        self._note(request)
        raise web.HTTPNotFound(text="no such container")


@pytest.fixture
def kubelet(api, namespace):
    with FakeKubelet(api.pki) as fake:
        api.request("POST", "/api/v1/nodes", {"metadata": {"name": NODE}})
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": fake.port}},
        }
        patch = {"Content-Type": "application/merge-patch+json"}
        path = f"/api/v1/nodes/{NODE}/status"
        assert api.request("PATCH", path, {"status": status}, headers=patch).code == 200
        containers = [{"name": "main", "image": "i"}]
        create_pod(api, namespace, "p", {"nodeName": NODE, "containers": containers})
        both = [*containers, {"name": "side", "image": "i"}]
        create_pod(api, namespace, "two", {"nodeName": NODE, "containers": both})
        create_pod(api, namespace, "unbound", {"containers": containers})
        yield fake


def create_pod(api, namespace, name, spec):
    body = {"metadata": {"name": name}, "spec": spec}
    made = api.request("POST", f"/api/v1/namespaces/{namespace}/pods", body)
    assert made.code == 201, made.body
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
    patch = {"Content-Type": "application/merge-patch+json"}
    assert api.request("PATCH", path, {"status": {"phase": "Running"}}, headers=patch).code == 200


def test_logs(api, namespace, kubelet):
    assert api.kubectl("-n", namespace, "logs", "p", "--tail=5") == "one\ntwo\n"
    path, query, who = kubelet.asked[-1]
    assert path == f"/containerLogs/{namespace}/p/main"
    assert query["tailLines"] == "5"
    assert who == "kube-apiserver-kubelet-client"


def test_logs_are_refused_with_the_reason(api, namespace, kubelet):
    message = api.kubectl("-n", namespace, "logs", "p", "--previous", fails=True)
    assert "previous terminated container not found" in message
    pods = f"/api/v1/namespaces/{namespace}/pods"
    assert api.get(f"{pods}/two/log").code == 400
    assert "choose one of: [main side]" in api.get(f"{pods}/two/log").json["message"]
    assert "is not valid" in api.get(f"{pods}/p/log?container=x").json["message"]
    assert api.get(f"{pods}/none/log").code == 404
    assert api.get(f"{pods}/p/log?tailLines=-1").code == 422
    assert api.get(f"{pods}/p/log?tailLines=x").code == 400
    assert api.get(f"{pods}/unbound/log").body == b""


def test_exec(api, namespace, kubelet):
    said = api.kubectl("-n", namespace, "exec", "p", "--", "echo", "a b", "c")
    assert said == "echo a b c\n"
    path, query, _ = kubelet.asked[-1]
    assert path == f"/exec/{namespace}/p/main"
    assert query["output"] == "1"
    assert "input" not in query


def test_exec_passes_standard_input_on(api, namespace, kubelet):
    text = "line\n" * 5_000
    assert api.kubectl("-n", namespace, "exec", "-i", "p", "--", "cat", stdin=text) == text


def test_exec_is_refused_with_the_reason(api, namespace, kubelet):
    del kubelet
    message = api.kubectl("-n", namespace, "exec", "unbound", "--", "ls", fails=True)
    assert "does not have a host assigned" in message
    path = f"/api/v1/namespaces/{namespace}/pods/p/exec"
    assert "Upgrade request required" in api.get(f"{path}?command=ls&stdout=1").json["message"]
    assert "at least 1 command" in api.get(f"{path}?stdout=1").json["message"]
    assert "at least 1 of stdin" in api.get(f"{path}?command=ls").json["message"]


def test_what_the_kubelet_refuses_is_told(api, namespace, kubelet):
    del kubelet
    message = api.kubectl("-n", namespace, "exec", "p", "--", "refuse", fails=True)
    assert "not running" in message
    assert "SPDY" not in message


def test_a_node_with_another_certificate_is_not_trusted(api, namespace, kubelet):
    """Were a Node object to point elsewhere, the kubelet's name would not match."""
    api.request("POST", "/api/v1/nodes", {"metadata": {"name": "other"}})
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port}},
    }
    patch = {"Content-Type": "application/merge-patch+json"}
    api.request("PATCH", "/api/v1/nodes/other/status", {"status": status}, headers=patch)
    spec = {"nodeName": "other", "containers": [{"name": "main", "image": "i"}]}
    create_pod(api, namespace, "lost", spec)
    before = len(kubelet.asked)
    answer = api.get(f"/api/v1/namespaces/{namespace}/pods/lost/log")
    assert (answer.code, answer.reason) == (500, "InternalError")
    assert len(kubelet.asked) == before


def test_old_clients_get_their_own_channels(api, namespace, kubelet):
    """Without a version errors are plain words and success says nothing; base64 is text."""
    del kubelet
    assert messages(api, namespace, "echo", "channel.k8s.io") == [b"\x01echo\n"]
    assert messages(api, namespace, "echo", "base64.channel.k8s.io") == ["1ZWNobwo="]
    assert messages(api, namespace, "refuse", "channel.k8s.io") == [
        b"\x03the container is not running"
    ]


def test_upgrades_pass_through_a_proxy(api, namespace, kubelet):
    """A WebSocket to whatever is proxied to, here the kubelet's own."""
    assert kubelet.port
    path = f"/api/v1/nodes/{NODE}/proxy/exec/{namespace}/p/main?command=echo&output=1"
    said = listen(api, path, "v5.channel.k8s.io")
    assert said[0] == b"\x01echo\n"
    assert json.loads(said[1][1:]) == SUCCESS


def messages(api, namespace, command, protocol):
    path = f"/api/v1/namespaces/{namespace}/pods/p/exec?command={command}&stdout=1"
    return listen(api, path, protocol)


def listen(api, path, protocol):
    async def ask():
        context = ssl.create_default_context(cafile=str(api.pki / "ca.crt"))
        context.load_cert_chain(api.pki / "admin.crt", api.pki / "admin.key")
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(api.url + path, ssl=context, protocols=(protocol,)) as socket,
        ):
            said = [message.data async for message in socket]
        # Closed TLS connections let go of their sockets a turn of the loop later.
        await asyncio.sleep(0.2)
        return said

    return asyncio.run(ask())


def test_spdy_passes_unread(api, namespace, kubelet):
    """The bytes of a client that speaks SPDY itself reach the kubelet and come back."""
    del kubelet
    context = ssl.create_default_context(cafile=str(api.pki / "ca.crt"))
    context.load_cert_chain(api.pki / "admin.crt", api.pki / "admin.key")
    port = int(api.url.rpartition(":")[2])
    path = f"/api/v1/namespaces/{namespace}/pods/p/exec?command=any&stdout=1"
    lines = [
        f"POST {path} HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: SPDY/3.1",
        "X-Stream-Protocol-Version: v4.channel.k8s.io", "Content-Length: 0", "", "",
    ]  # fmt: skip
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        secure.sendall("\r\n".join(lines).encode())
        head = secure.recv(4096)
        assert head.startswith(b"HTTP/1.1 101")
        assert b"v4.channel.k8s.io" in head
        secure.sendall(b"\x80\x03 frames")
        assert secure.recv(4096) == b"\x80\x03 frames"


def test_proxy_reaches_the_kubelet(api, kubelet):
    assert kubelet.port
    path = f"/api/v1/nodes/{NODE}/proxy"
    assert api.get(f"{path}/healthz").body == b"ok"
    assert api.get(f"{path}/a//b%2Fc").code == 404


def test_proxy_refuses_what_no_pod_of_the_cluster_has(api, namespace, kubelet):
    """Neither the control plane's own host, nor what no endpoint stands behind."""
    del kubelet
    pods = f"/api/v1/namespaces/{namespace}/pods"
    patch = {"Content-Type": "application/merge-patch+json"}
    status = {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
    api.request("PATCH", f"{pods}/p/status", {"status": status}, headers=patch)
    refused = api.get(f"{pods}/p:8080/proxy/")
    assert (refused.code, refused.json["message"]) == (400, "address not allowed")
    assert api.get(f"{pods}/ftp:p:1/proxy/").json["message"] == 'invalid pod request "ftp:p:1"'
    absent = api.get("/api/v1/namespaces/default/services/kubernetes/proxy/x/y")
    assert absent.code == 503
    assert absent.json["message"] == 'no endpoints available for service "kubernetes"'
