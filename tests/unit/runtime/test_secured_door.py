"""A component's HTTPS door: whoever asks for its health is told, for the rest one must be known."""

import asyncio
import ssl

import aiohttp
import msgspec
import pytest

from pilothouse.ops.pki.authority import Authority
from pilothouse.ops.pki.plan import Certificate
from pilothouse.services.machinery.errors import ServiceUnavailable
from pilothouse.services.machinery.resources import TOKEN_REVIEWS
from pilothouse.services.runtime.client.election import Term
from pilothouse.services.runtime.client.objects import BOUNDS
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.control import measures
from pilothouse.services.runtime.control.loop import Loop, Result
from pilothouse.services.runtime.control.measures import Spans
from pilothouse.services.runtime.control.queue import WorkQueue
from pilothouse.services.runtime.door.flags import Secured
from pilothouse.services.runtime.door.pages import Pages
from pilothouse.services.runtime.door.serving import calls, election, serve_https


class Reviews:
    """The API server: the token ``good`` is prometheus', who may read metrics."""

    def __init__(self):
        self.asked = []
        self.calls = {("GET", 200): 3}
        self.took = {"GET": Spans(BOUNDS)}
        for seconds in (0.001, 0.02, 90.0):
            self.took["GET"].observe(seconds)

    async def create(self, resource, namespace, body):
        self.asked.append(body["spec"])
        if resource == TOKEN_REVIEWS:
            good = body["spec"]["token"] == "good"
            user = {"username": "prometheus", "groups": ["system:authenticated"]}
            told = {"authenticated": good, "user": user} if good else {"authenticated": False}
        elif body["spec"]["user"] == "unlucky":
            raise ServiceUnavailable("away")
        else:
            told = {"allowed": body["spec"]["user"] == "prometheus"}
        return msgspec.json.encode({"status": told}).decode()


class Nothing:
    name = "nothing"

    async def reconcile(self, key):
        return Result()


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    authority = Authority.open(folder, SystemClock())
    for name, group in (("server", ""), ("admin", "system:masters"), ("unlucky", "")):
        usages = ("client", "server")
        authority.ensure(Certificate(name, name, group, usages=usages, addresses=("127.0.0.1",)))
    return folder


@pytest.fixture
async def door(pki, unused_tcp_port):
    term, reviews, queue = Term(SystemClock()), Reviews(), WorkQueue()
    loops = {"nothing": Loop(Nothing(), queue)}
    queue.add("one")
    sources = [
        lambda: measures.families(loops, asyncio.get_running_loop().time()),
        election("kube-controller-manager", term),
        calls("somewhere", [reviews]),
    ]
    open_paths = frozenset({"/healthz", "/livez", "/readyz"})
    told = Secured("127.0.0.1", unused_tcp_port, pki / "server.crt", pki / "server.key",
                   pki / "ca.crt", open_paths)  # fmt: skip
    faults = {"storage": lambda: reviews.fault if hasattr(reviews, "fault") else ""}
    pages = Pages("kube-scheduler", {"v": "2", "bind-address": "::"}, {"componentconfig": {"a": 1}})
    async with serve_https(told, reviews, SystemClock(), sources, faults, pages=pages):
        yield unused_tcp_port, reviews, term


async def get(pki, port, path, certificate="", **headers):
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    if certificate:
        context.load_cert_chain(pki / f"{certificate}.crt", pki / f"{certificate}.key")
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
        session.get(f"https://127.0.0.1:{port}{path}", headers=headers) as answer,
    ):
        return answer.status, await answer.text()


async def test_everybody_may_ask_whether_it_is_well(pki, door):
    port, reviews, _ = door
    for path in ("/healthz", "/livez", "/readyz"):
        assert await get(pki, port, path) == (200, "ok")
    status, text = await get(pki, port, "/readyz?verbose")
    assert (status, text) == (200, "[+]ping ok\n[+]storage ok\nreadyz check passed\n")
    reviews.fault = "away"
    status, text = await get(pki, port, "/healthz")
    assert status == 500
    assert "[-]storage failed: away\nhealthz check failed" in text
    assert (await get(pki, port, "/healthz?exclude=storage"))[0] == 200


async def test_metrics_are_for_those_who_may(pki, door):
    port, reviews, _ = door
    status, text = await get(pki, port, "/metrics")
    assert status == 403
    told = msgspec.json.decode(text)
    assert told["message"] == 'forbidden: User "system:anonymous" cannot get path "/metrics"'
    assert (await get(pki, port, "/metrics", Authorization="Bearer bad"))[0] == 401
    assert (await get(pki, port, "/metrics", Authorization="Bearer good"))[0] == 200
    asked = len(reviews.asked)
    assert (await get(pki, port, "/metrics", Authorization="Bearer good"))[0] == 200
    assert len(reviews.asked) == asked
    assert (await get(pki, port, "/metrics", "admin"))[0] == 200
    assert (await get(pki, port, "/metrics", "server"))[0] == 403
    assert (await get(pki, port, "/metrics", "unlucky"))[0] == 403
    assert (await get(pki, port, "/nowhere", "admin"))[0] == 404


async def test_metrics_have_kubernetes_names(pki, door):
    port, _, term = door
    _, text = await get(pki, port, "/metrics", "admin")
    for line in (
        'workqueue_depth{name="nothing"} 1',
        'workqueue_adds_total{name="nothing"} 1',
        'workqueue_retries_total{name="nothing"} 0',
        'workqueue_unfinished_work_seconds{name="nothing"} 0',
        'workqueue_longest_running_processor_seconds{name="nothing"} 0',
        'workqueue_queue_duration_seconds_count{name="nothing"} 0',
        'workqueue_work_duration_seconds_bucket{name="nothing",le="+Inf"} 0',
        'leader_election_master_status{name="kube-controller-manager"} 0',
        'leader_election_slowpath_total{name="kube-controller-manager"} 0',
        'rest_client_requests_total{code="200",host="somewhere",method="GET"} 3',
        'rest_client_request_duration_seconds_bucket{host="somewhere",verb="GET",le="0.025"} 2',
        'rest_client_request_duration_seconds_count{host="somewhere",verb="GET"} 3',
    ):
        assert line in text.splitlines()
    assert "process_cpu_seconds_total " in text
    assert 'kubernetes_build_info{git_version="v1.37.0",' in text
    term.until(float("inf"))
    _, text = await get(pki, port, "/metrics", "admin")
    assert 'leader_election_master_status{name="kube-controller-manager"} 1' in text


async def test_what_it_is_and_how_it_was_told_is_for_those_who_may(pki, door):
    port, _, _ = door
    assert (await get(pki, port, "/flagz"))[0] == 403
    status, text = await get(pki, port, "/flagz", "admin")
    assert status == 200
    assert text.startswith(
        "\nkube-scheduler flagz\nWarning: This endpoint is not meant to be machine"
    )
    assert text.endswith("\n\nbind-address=::\nv=2\n")
    status, text = await get(pki, port, "/statusz", "admin")
    assert "Binary version: 1.37.0\nEmulation version: 1.37\n" in text
    paths = "/configz /flagz /healthz /livez /metrics /readyz /statusz"
    assert f"Paths: {paths}\n" in text
    assert await get(pki, port, "/configz", "admin") == (200, '{"componentconfig": {"a": 1}}')
    for kind, path in (("Flagz", "/flagz"), ("Statusz", "/statusz")):
        wish = f"application/json;v=v1beta1;g=config.k8s.io;as={kind}"
        told = msgspec.json.decode((await get(pki, port, path, "admin", Accept=wish))[1])
        assert (told["kind"], told["apiVersion"]) == (kind, "config.k8s.io/v1beta1")
        assert told["metadata"]["name"] == "kube-scheduler"
    assert (await get(pki, port, "/flagz/more", "admin"))[0] == 404
