"""The kubelet's routes behind a door that a test holds open or shut."""

import json

import pytest
from aiohttp.test_utils import TestClient, TestServer

from pilothouse.services.kubelet.configuration.fields import KubeletConfiguration
from pilothouse.services.kubelet.metrics.meters import Meters
from pilothouse.services.kubelet.rest import server
from pilothouse.services.kubelet.rest.access import Door
from pilothouse.services.kubelet.rest.health import Health, healthy, sync_check
from pilothouse.services.kubelet.rest.node_logs import NodeLogs
from pilothouse.services.kubelet.rest.pages import Pages
from pilothouse.services.machinery.errors import ServiceUnavailable
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.door.users import User
from pilothouse.services.runtime.meters import families


class FakeReviewer:
    """``jane`` may see health under its own name, ``root`` all; ``lost`` is never answered."""

    async def user_of(self, token):
        if token == "lost":
            raise ServiceUnavailable("away")
        return User(token) if token in ("jane", "root", "odd") else None

    async def allows(self, user, verb, subresource):
        if user.name == "odd":
            raise ServiceUnavailable("away")
        return user.name == "root" or (user.name, verb, subresource) == ("jane", "get", "healthz")


class Nobody:
    """No certificate names anybody."""

    def user(self, shown):
        return None


def _client(*rooms, anonymous=False, meters=None, fault=""):
    reviewer = FakeReviewer()
    door = Door(Nobody(), reviewer, reviewer, anonymous=anonymous)
    health = Health({"ping": healthy, "syncloop": lambda: fault})
    made = server.application(door, [health, *rooms], meters or Meters(), SystemClock())
    return TestClient(TestServer(made))


def _as(name):
    return {"Authorization": f"Bearer {name}"}


@pytest.mark.parametrize(
    ("user", "path", "status", "words"),
    [
        ("", "/healthz", 401, "Unauthorized"),
        ("nobody", "/healthz", 401, "Unauthorized"),
        ("lost", "/healthz", 401, "Unauthorized"),
        ("jane", "/healthz", 200, "ok"),
        ("root", "/healthz/ping", 200, "ok"),
        ("jane", "/absent", 403, "subresource(s)=[proxy]"),
        ("root", "/absent", 404, ""),
        ("odd", "/healthz", 500, "Authorization error (user=odd, verb=get, resource=nodes"),
    ],
)
async def test_who_may_what(user, path, status, words):
    async with _client() as client:
        answer = await client.get(path, headers=_as(user) if user else {})
        assert answer.status == status
        assert words in await answer.text()


async def test_anonymous_asks_like_anybody_when_let_in():
    async with _client(anonymous=True) as client:
        answer = await client.get("/healthz")
        assert answer.status == 403
        assert "user=system:anonymous" in await answer.text()
        assert (await client.get("/healthz", headers=_as("nobody"))).status == 401


async def test_health_tells_what_fails():
    async with _client(fault="stuck") as client:
        answer = await client.get("/healthz", headers=_as("root"))
        assert answer.status == 500
        assert await answer.text() == (
            "[+]ping ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n"
        )
        slis = await (await client.get("/metrics/slis", headers=_as("root"))).text()
        assert 'kubernetes_healthcheck{name="syncloop",type="healthz"} 0' in slis
        assert (
            'kubernetes_healthchecks_total{name="ping",status="success",type="healthz"} 1' in slis
        )
    assert sync_check(lambda: 301.0, 300.0)() == "sync Loop took longer than expected"
    assert not sync_check(lambda: 299.0, 300.0)()


async def test_requests_are_counted_by_the_first_part_of_their_path():
    meters = Meters()
    async with _client(meters=meters) as client:
        await client.get("/healthz/ping", headers=_as("root"))
        await client.get("/absent/of/many/names", headers=_as("root"))
    counted = next(item for item in families(meters) if item.name == "kubelet_http_requests_total")
    paths = {dict(labels)["path"] for _, labels, _, _ in counted.samples}
    assert paths == {"healthz", "other"}


async def test_logs_of_the_node_and_nothing_beside_them(tmp_path):
    top = tmp_path / "log"
    (top / "below").mkdir(parents=True)
    (top / "below" / "a<b.log").write_text("line\n")
    (tmp_path / "secret").write_text("secret")
    (top / "out").symlink_to(tmp_path / "secret")
    async with _client(NodeLogs(top)) as client:
        page = await client.get("/logs/below/", headers=_as("root"))
        assert "a&lt;b.log" in await page.text()
        file = await client.get("/logs/below/a%3Cb.log", headers=_as("root"))
        assert await file.text() == "line\n"
        for path in ("/logs/out", "/logs/..%2fsecret", "/logs/%2e%2e/secret", "/logs/absent"):
            answer = await client.get(path, headers=_as("root"))
            assert answer.status in (403, 404), path
            assert "secret" not in await answer.text()


async def test_shut_routes_say_so():
    async with _client(server.Shut("/exec", "Debug endpoints are disabled.")) as client:
        answer = await client.post("/exec/a/b/c", headers=_as("root"))
        assert answer.status == 405
        assert await answer.text() == "Debug endpoints are disabled.\n"


async def test_documents_of_the_node_are_json():
    class FakeListing:
        async def all(self):
            return [{"metadata": {"name": "web"}}]

        def running(self):
            return []

    pages = Pages(FakeListing(), KubeletConfiguration(), {"v": "2", "port": "1"}, SystemClock())
    async with _client(pages, server.Debugging(pages)) as client:
        pods = json.loads(await (await client.get("/pods", headers=_as("root"))).text())
        assert (pods["kind"], len(pods["items"])) == ("PodList", 1)
        configz = await (await client.get("/configz", headers=_as("root"))).json()
        assert configz["kubeletconfig"]["healthzPort"] == 10248
        flagz = await (await client.get("/flagz", headers=_as("root"))).text()
        assert flagz.endswith("\n\nport=1\nv=2\n")
        accept = {"Accept": "application/json;v=v1beta1;g=config.k8s.io;as=Statusz"}
        statusz = await (await client.get("/statusz", headers=_as("root") | accept)).json()
        assert statusz["kind"] == "Statusz"
        assert "/pods" in statusz["paths"]
