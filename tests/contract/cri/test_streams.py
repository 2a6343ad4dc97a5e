"""Logs, exec, attach and port-forward through the node's HTTPS server and containerd's SPDY."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from kit.containerd import Containerd, pod_of, wait_for
from kit.node import Workers, inside, workers

from pilothouse.ops.pki.authority import Authority
from pilothouse.ops.pki.plan import Certificate, node
from pilothouse.services.kubelet.config import Serving
from pilothouse.services.kubelet.metrics.meters import Meters
from pilothouse.services.kubelet.rest import server
from pilothouse.services.kubelet.rest.access import Door
from pilothouse.services.kubelet.rest.health import Health, healthy
from pilothouse.services.kubelet.rest.streaming import Streaming
from pilothouse.services.runtime.clientcerts import Judge
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.door.users import user_of
from pilothouse.services.runtime.rpc.tls import Identity
from pilothouse.services.runtime.spdy import frames
from pilothouse.services.runtime.spdy.frames import Data, Decoder, Encoder

PORT = 10250


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    authority = Authority.open(directory, SystemClock())
    for wanted in node("node-1", "127.0.0.1"):
        authority.ensure(wanted)
    name = "kube-apiserver-kubelet-client"
    authority.ensure(Certificate("apiserver-kubelet-client", name, "system:masters"))
    return directory


def _context(pki: Path, stem: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    if stem:
        context.load_cert_chain(pki / f"{stem}.crt", pki / f"{stem}.key")
    return context


class Masters:
    """The API server's judgement of its own client, and of everybody else."""

    async def user_of(self, token):
        return None

    async def allows(self, user, verb, subresource):
        return "system:masters" in user.groups


@contextlib.asynccontextmanager
async def _served(
    runtime: Containerd, pki: Path, uid: str, **container: object
) -> AsyncIterator[tuple[Workers, aiohttp.ClientSession]]:
    """A running pod, and a client with the API server's certificate."""
    stem = pki / "kubelet-node-1"
    identity = Identity(stem.with_suffix(".crt"), stem.with_suffix(".key"), pki / "ca.crt")
    body = pod_of(uid, name=uid, terminationGracePeriodSeconds=1)
    body["spec"]["containers"][0] |= container
    async with workers(runtime) as found:
        streaming = Streaming(found.pods, found.streams, SystemClock())
        door = Door(
            Judge(identity.authority, SystemClock().now, user_of), None, Masters(), anonymous=False
        )
        rooms = [Health({"ping": healthy}), streaming]
        made = server.application(door, rooms, Meters(), SystemClock())
        async with server.serve(Serving("127.0.0.1", PORT, identity), made):
            found.apply(body)
            await wait_for(lambda: found.is_ready(uid))
            connector = aiohttp.TCPConnector(ssl=_context(pki, "apiserver-kubelet-client"))
            async with aiohttp.ClientSession(
                f"https://127.0.0.1:{PORT}", connector=connector
            ) as session:
                yield found, session
        found.delete(uid, grace=1)
        await wait_for(lambda: uid in found.cluster.removed)


async def _collect(socket: aiohttp.ClientWebSocketResponse) -> dict[int, bytes]:
    """All messages by channel, until the server closes."""
    got: dict[int, bytes] = {}
    async for message in socket:
        if message.type == aiohttp.WSMsgType.BINARY:
            got[message.data[0]] = got.get(message.data[0], b"") + message.data[1:]
    return got


def _exec(session: aiohttp.ClientSession, uid: str, query: str, protocol: str = "v5"):
    url = f"/exec/default/{uid}/main?{query}"
    return session.ws_connect(url, protocols=(f"{protocol}.channel.k8s.io",))


async def test_exec_half_closes_and_tells_the_exit_code(runtime: Containerd, pki: Path) -> None:
    async def test() -> None:
        async with _served(runtime, pki, "exec-1") as (_, session):
            query = "command=sh&command=-c&command=wc+-c%3Becho+no+>%262%3Bexit+7"
            async with _exec(session, "exec-1", f"{query}&input=1&output=1&error=1") as socket:
                for _ in range(40):
                    await socket.send_bytes(b"\x00" + b"x" * 32768)
                await socket.send_bytes(b"\xff\x00")
                got = await _collect(socket)
            assert got[1] == b"1310720\n"
            assert got[2] == b"no\n"
            status = json.loads(got[3])
            assert status["reason"] == "NonZeroExitCode"
            assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]
            async with _exec(session, "exec-1", "command=true&output=1", "v4") as socket:
                assert socket.protocol == "v4.channel.k8s.io"
                got = await _collect(socket)
            assert json.loads(got[3])["status"] == "Success"

    await inside(runtime, test)


async def test_much_output_arrives_whole(runtime: Containerd, pki: Path) -> None:
    async def test() -> None:
        async with _served(runtime, pki, "exec-2") as (_, session):
            query = "command=dd&command=if%3D/dev/zero&command=bs%3D64k&command=count%3D160"
            async with _exec(session, "exec-2", f"{query}&output=1&error=1") as socket:
                await asyncio.sleep(0.5)
                got = await _collect(socket)
            assert len(got[1]) == 160 * 65536

    await inside(runtime, test)


async def test_a_terminal_has_a_size(runtime: Containerd, pki: Path) -> None:
    async def test() -> None:
        async with _served(runtime, pki, "exec-3") as (_, session):
            query = "command=sh&input=1&output=1&tty=1"
            async with _exec(session, "exec-3", query) as socket:
                await socket.send_bytes(b"\x04" + b'{"Width":97,"Height":31}')
                await asyncio.sleep(0.3)
                await socket.send_bytes(b"\x00stty size; exit\n")
                got = await _collect(socket)
            assert b"31 97" in got[1]
            assert json.loads(got[3])["status"] == "Success"

    await inside(runtime, test)


async def test_attach_speaks_with_the_main_process(runtime: Containerd, pki: Path) -> None:
    async def test() -> None:
        command = ["sh", "-c", "trap 'exit 0' TERM; while read l; do echo got $l; done; sleep 99"]
        async with _served(runtime, pki, "att", command=command, stdin=True) as (_, session):
            url = "/attach/default/att/main?input=1&output=1"
            async with session.ws_connect(url, protocols=("v5.channel.k8s.io",)) as socket:
                await socket.send_bytes(b"\x00hello\n")
                message = await socket.receive_bytes()
                assert message == b"\x01got hello\n"

    await inside(runtime, test)


async def test_logs(runtime: Containerd, pki: Path) -> None:
    async def test() -> None:
        script = "for i in 1 2 3; do echo line $i; done; read go; echo end; exit 0"
        async with _served(runtime, pki, "logs", command=["sh", "-c", script], stdin=True) as (
            found,
            session,
        ):
            url = "/containerLogs/default/logs/main"
            async with session.get(url, params={"follow": "true"}) as following:
                # What runs has not necessarily printed yet.
                for number in (1, 2, 3):
                    assert await following.content.readline() == b"line %d\n" % number
            async with session.get(url, params={"tailLines": "2"}) as answer:
                assert await answer.text() == "line 2\nline 3\n"
            async with session.get(url, params={"limitBytes": "8"}) as answer:
                assert await answer.text() == "line 1\nl"
            async with session.get(url, params={"timestamps": "true", "tailLines": "1"}) as answer:
                assert (await answer.text()).split(" ", 1)[1] == "line 3\n"
            async with session.get(url, params={"sinceSeconds": "0"}) as answer:
                assert await answer.text() == ""
            async with session.get(url, params={"follow": "true"}) as following:
                assert await following.content.readline() == b"line 1\n"
                attach = "/attach/default/logs/main?input=1&output=1"
                async with session.ws_connect(attach, protocols=("v5.channel.k8s.io",)) as socket:
                    await socket.send_bytes(b"\x00go\n")
                    rest = await following.content.read()
                assert rest == b"line 2\nline 3\nend\n"
            await wait_for(lambda: found.container("logs")["restartCount"] == 1)
            await wait_for(lambda: "running" in found.container("logs")["state"])
            async with session.get(url, params={"previous": "true"}) as answer:
                assert (await answer.text()).endswith("end\n")
            async with session.get("/containerLogs/default/other/main") as answer:
                assert answer.status == 404
            async with session.get(url, params={"tailLines": "-1"}) as answer:
                assert answer.status == 400

    await inside(runtime, test)


async def test_port_forward_is_a_tunnel(runtime: Containerd, pki: Path) -> None:
    async def test() -> None:
        script = "while :; do echo hello | nc -l -p 7777; done"
        async with _served(runtime, pki, "fwd", command=["sh", "-c", script]) as (_, session):
            protocols = ("SPDY/3.1+portforward.k8s.io",)
            async with session.ws_connect("/portForward/default/fwd", protocols=protocols) as ws:
                encoder, decoder, got = Encoder(), Decoder(), b""
                for stream, kind in ((1, "error"), (3, "data")):
                    headers = {"streamType": kind, "port": "7777", "requestID": "0"}
                    await ws.send_bytes(encoder.syn_stream(stream, headers))
                await ws.send_bytes(frames.data(Data(1, b"", last=True)))
                while b"hello" not in got:
                    for frame in decoder.feed(await ws.receive_bytes()):
                        if isinstance(frame, Data) and frame.stream == 3:
                            got += frame.content
                assert got == b"hello\n"

    await inside(runtime, test)


async def test_only_the_api_server_is_answered(runtime: Containerd, pki: Path) -> None:
    async def test() -> None:
        async with _served(runtime, pki, "auth") as (_, session):
            async with session.get("/healthz") as answer:
                assert (answer.status, await answer.text()) == (200, "ok")
            url = f"https://127.0.0.1:{PORT}/pods"
            for stem, expected in (("proxy-node-1", 403), ("kubelet-node-1", 403), ("", 401)):
                async with (
                    aiohttp.ClientSession() as other,
                    other.get(url, ssl=_context(pki, stem)) as answer,
                ):
                    assert answer.status == expected

    await inside(runtime, test)
