"""Static pods out of manifests, their mirrors, and what happens when they change."""

import asyncio
from types import SimpleNamespace

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pilothouse.services.kubelet.adapters.manifests.directory import ManifestFiles, decode
from pilothouse.services.kubelet.adapters.manifests.url import ManifestUrl
from pilothouse.services.kubelet.manifests import static_pods
from pilothouse.services.kubelet.manifests.manifests import Manifests
from pilothouse.services.kubelet.manifests.references import referenced
from pilothouse.services.kubelet.manifests.static_pods import Origin
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.machinery.errors import Invalid
from pilothouse.services.runtime.clock import SystemClock

ORIGIN = Origin("Node-1", "file", "/etc/web.yaml")


def _manifest(name="web", image="nginx:1", **spec):
    containers = [{"name": "main", "image": image}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": containers, **spec},
    }


def test_a_manifest_becomes_a_pod_and_its_mirror():
    static = static_pods.parse(_manifest(), ORIGIN, "2026-01-01T00:00:00Z")
    assert static.pod.metadata.name == "web-node-1"
    assert static.pod.metadata.namespace == "default"
    own, mirror = static.own["metadata"]["annotations"], static.body["metadata"]["annotations"]
    assert own == {
        "kubernetes.io/config.hash": static.pod.uid,
        "kubernetes.io/config.source": "file",
        "kubernetes.io/config.seen": "2026-01-01T00:00:00Z",
    }
    assert mirror == own | {"kubernetes.io/config.mirror": static.pod.uid}
    assert "uid" not in static.body["metadata"]
    assert static.body["spec"]["nodeName"] == "Node-1"
    assert {"operator": "Exists", "effect": "NoExecute"} in static.body["spec"]["tolerations"]
    assert static_pods.is_static(static.pod)


def test_the_uid_is_made_of_the_content():
    one = static_pods.parse(_manifest(), ORIGIN)
    assert static_pods.parse(_manifest(), ORIGIN, "later").hash == one.hash
    assert static_pods.parse(_manifest(image="nginx:2"), ORIGIN).hash != one.hash
    assert static_pods.parse(_manifest(), Origin("node-2", "file", "x")).hash != one.hash
    given = _manifest()
    given["metadata"]["uid"] = "mine"
    assert static_pods.parse(given, ORIGIN).hash == "mine"


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("host:5000/nginx", "Always"),
        ("host:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:0", "IfNotPresent"),
    ],
)
def test_the_policy_of_pulls_is_that_of_the_tag(image, policy):
    static = static_pods.parse(_manifest(image=image), ORIGIN)
    assert static.pod.spec.containers[0].image_pull_policy == policy


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"serviceAccountName": "x"}, "static pods may not reference serviceaccounts"),
        ({"imagePullSecrets": [{"name": "x"}]}, "static pods may not reference secrets"),
        ({"volumes": [{"name": "v", "configMap": {}}]}, "may not reference configmaps"),
        ({"resourceClaims": [{"name": "x"}]}, "may not reference resourceclaims"),
        ({"restartPolicy": "Sometimes"}, "spec.restartPolicy"),
        ({"containers": []}, "spec.containers: Required"),
        ({"containers": [{"image": "x"}]}, "needs a name"),
        ({"containers": [{"name": "a", "image": "x"}, {"name": "a", "image": "x"}]}, "Duplicate"),
        ({"containers": [{"name": "a"}]}, "image: Required"),
        ({"ephemeralContainers": [{"name": "e"}]}, "Forbidden"),
        ({"containers": [{"name": "a", "image": "x", "ports": 3}]}, "invalid pod"),
    ],
)
def test_what_may_not_be_static_is_refused(spec, words):
    with pytest.raises(Invalid, match=words):
        static_pods.parse(_manifest(**spec), ORIGIN)


@pytest.mark.parametrize("wrong", [None, [], "Pod", {"kind": "Job"}, {"kind": "Pod"}])
def test_what_is_no_pod_is_refused(wrong):
    with pytest.raises(Invalid):
        static_pods.parse(wrong, ORIGIN)


def test_references_of_every_sort():
    env = {"containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "x"}}}]}]}
    assert referenced(env) == "secrets"
    env = {"initContainers": [{"envFrom": [{"configMapRef": {"name": "x"}}]}]}
    assert referenced(env) == "configmaps"
    for field, name in (
        ("serviceAccountToken", "serviceaccounts"),
        ("clusterTrustBundle", "clustertrustbundles"),
        ("podCertificate", "podcertificaterequests"),
    ):
        volume = {"name": "v", "projected": {"sources": [{field: {}}]}}
        assert referenced({"volumes": [volume]}) == name
    claim = {"name": "v", "persistentVolumeClaim": {"claimName": "x"}}
    assert referenced({"volumes": [claim]}) == "persistentvolumeclaims"
    driver = {"name": "v", "csi": {"nodePublishSecretRef": {"name": "x"}}}
    assert referenced({"volumes": [driver]}) == "secrets"
    assert not referenced({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]})


def test_mirrors_are_redrawn():
    static = static_pods.parse(_manifest(), ORIGIN)
    mirror = msgspec.convert(static.body, Pod)
    assert static_pods.plan(static, None).create
    assert static_pods.plan(static, mirror) == static_pods.MirrorPlan()
    other = static_pods.parse(_manifest(image="nginx:2"), ORIGIN)
    assert static_pods.plan(other, mirror).delete is mirror
    assert static_pods.plan(None, mirror).delete is mirror


class FakePods:
    """Workers as their pods; who has vanished stays until ``end`` is called."""

    def __init__(self):
        self.present, self.vanished, self._told = {}, [], []

    def on_end(self, told):
        self._told.append(told)

    def workers(self):
        return [SimpleNamespace(pod=pod) for pod in self.present.values()]

    def keep(self, pod):
        self.present[pod.uid] = pod

    def vanish(self, pod):
        self.vanished.append(pod.uid)

    def end(self, uid):
        pod = self.present.pop(uid)
        for told in self._told:
            told(pod)


class _Source:
    def __init__(self, name):
        self.name = name


def _manifests(pods, *names):
    sources = [_Source(name) for name in names or ("file",)]
    return Manifests(sources, None, pods, SystemClock(), "node-1")


def test_a_changed_pod_begins_when_the_old_one_has_ended():
    pods = FakePods()
    manifests = _manifests(pods)
    manifests.take("file", {"a": [_manifest()]})
    (old,) = pods.present
    manifests.take("file", {"a": [_manifest(image="nginx:2")]})
    assert (pods.vanished, list(pods.present)) == ([old], [old])
    pods.end(old)
    (new,) = pods.present
    assert new != old
    manifests.take("file", {})
    assert pods.vanished == [old, new]
    pods.end(new)
    assert not pods.present


def test_bad_manifests_leave_the_good_ones_alone():
    pods = FakePods()
    manifests = _manifests(pods)
    bad = _manifest("bad", serviceAccountName="x")
    manifests.take("file", {"a": [None], "b": [_manifest("one"), bad], "c": [{"kind": "Service"}]})
    assert [pod.metadata.name for pod in pods.present.values()] == ["one-node-1"]


def test_of_two_sources_the_earlier_has_its_way():
    pods = FakePods()
    manifests = _manifests(pods, "file", "http")
    many = {"kind": "PodList", "items": [_manifest(), _manifest("more")]}
    manifests.take("http", {"u": [many]})
    assert {pod.metadata.name for pod in pods.present.values()} == {"web-node-1", "more-node-1"}
    manifests.take("file", {"a": [_manifest(image="nginx:2")]})
    assert len(pods.vanished) == 1
    marks = {
        body["metadata"]["name"]: body["metadata"]["annotations"]["kubernetes.io/config.source"]
        for body in manifests.bodies().values()
    }
    assert marks == {"web-node-1": "file", "more-node-1": "http"}


def test_documents_of_a_text():
    assert decode(b"a: 1\n---\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]
    assert decode(b"{") == [None]
    assert decode(b"") == [None]
    assert decode(b"\xff\xfe\x00") == [None]


async def test_files_of_a_directory(tmp_path):
    files = ManifestFiles(tmp_path / "manifests", 20.0)
    assert await files.read() == {}
    place = tmp_path / "manifests"
    (place / "web.conf").write_text("kind: Pod")
    (place / ".web.swp").write_text("kind: Pod")
    (place / "below").mkdir()
    async with asyncio.timeout(10):
        await files.wait_changed()
    assert await files.read() == {str(place / "web.conf"): [{"kind": "Pod"}]}
    single = ManifestFiles(place / "web.conf", 20.0)
    assert await single.read() == {str(place / "web.conf"): [{"kind": "Pod"}]}


async def test_a_web_server_is_asked_with_its_headers():
    texts = ["kind: Pod", "kind: Pod", None, "", "kind: PodList"]
    seen = []

    async def answer(request):
        seen.append(request.headers.getall("X-Key"))
        text = texts.pop(0)
        return web.Response(status=500 if text is None else 200, text=text or "")

    app = web.Application()
    app.router.add_get("/pods", answer)
    async with TestServer(app) as server:
        url = str(server.make_url("/pods"))
        source = ManifestUrl(url, {"X-Key": ["a", "b"]}, 20.0)
        assert await source.read() == {url: [{"kind": "Pod"}]}
        for _ in range(3):
            assert await source.read() is None
        assert await source.read() == {url: [{"kind": "PodList"}]}
    assert seen == [["a", "b"]] * 5
    assert await source.read() is None
