"""Volumes follow what they show, and what is not there yet; a pod waits for what it needs."""

from collections.abc import Iterator
from typing import Any

import pytest
from kit.cluster import Cluster
from kit.manifests import sleeper
from kit.namespaces import furnished
from kit.official import Official
from kit.syllabus import line, syllabus

NAMESPACE = "conformance-changing"
KINDS = {
    "config-map": "common/storage/configmap_volume.go",
    "secret": "common/storage/secrets_volume.go",
    "projected-config-map": "common/storage/projected_configmap.go",
    "projected-secret": "common/storage/projected_secret.go",
}
DOWNWARD = {
    "downward": "common/storage/downwardapi_volume.go",
    "projected-downward": "common/storage/projected_downwardapi.go",
}
EXPANSION = "common/node/expansion.go"
WRAPPER = "storage/empty_dir_wrapper.go"


def _source(kind: str, name: str) -> dict[str, Any]:
    field = "configMap" if kind.endswith("config-map") else "secret"
    if kind.startswith("projected"):
        return {"projected": {"sources": [{field: {"name": name, "optional": True}}]}}
    named = {"secretName": name} if field == "secret" else {"name": name}
    return {field: {**named, "optional": True}}


def _watcher(name: str, volumes: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """A pod with these volumes below ``/v``."""
    pod = sleeper(name, volumes=[{"name": each, **source} for each, source in volumes.items()])
    pod["metadata"] |= metadata
    pod["spec"]["containers"][0]["volumeMounts"] = [
        {"name": each, "mountPath": f"/v/{each}"} for each in volumes
    ]
    return pod


def _name(kind: str, what: str) -> str:
    """Of a ConfigMap or a Secret, which is how it begins."""
    return f"{'secret' if kind.endswith('secret') else 'config-map'}-{kind}-{what}"


def _body(name: str, **data: str) -> dict[str, Any]:
    encoded = {"stringData": data} if name.startswith("secret") else {"data": data}
    return {"metadata": {"name": name}, **encoded}


class Changing:
    """The namespace's things and what containers see of them."""

    def __init__(self, cluster: Cluster, client: Official) -> None:
        self.cluster, self.client = cluster, client

    def write(self, verb: str, name: str, **data: str) -> None:
        """Create, patch or delete a ConfigMap or Secret; the name begins with which."""
        kind = "secret" if name.startswith("secret") else "config_map"
        call = getattr(self.client.core, f"{verb}_namespaced_{kind}")
        match verb:
            case "create":
                call(NAMESPACE, _body(name, **data))
            case "patch":
                call(name, NAMESPACE, _body(name, **data))
            case "delete":
                call(name, NAMESPACE)

    def seen(self, pod: str, path: str) -> str:
        """The file's content; empty when there is none."""
        done = self.cluster.try_kubectl("-n", NAMESPACE, "exec", pod, "--", "cat", f"/v/{path}")
        return done.stdout

    def shows(self, pod: str, path: str, content: str) -> None:
        self.cluster.eventually(
            f"{path} of {pod} is {content!r}",
            lambda: content in self.seen(pod, path) if content else not self.seen(pod, path),
            seconds=120,
            every=0.5,
        )


@pytest.fixture(scope="module")
def changing(cluster: Cluster, client: Official) -> Iterator[Changing]:
    """A pod for each kind, shown three things of which the last is not there yet."""
    with furnished(cluster, client, NAMESPACE):
        found = Changing(cluster, client)
        for kind in KINDS:
            names = {what: _name(kind, what) for what in ("kept", "gone", "late")}
            found.write("create", names["kept"], key="before")
            found.write("create", names["gone"], key="before")
            volumes = {what: _source(kind, name) for what, name in names.items()}
            client.core.create_namespaced_pod(NAMESPACE, _watcher(kind, volumes))
        items = [
            {"path": field, "fieldRef": {"fieldPath": f"metadata.{field}"}}
            for field in ("labels", "annotations")
        ]
        sources = {
            "downward": {"downwardAPI": {"items": items}},
            "projected-downward": {"projected": {"sources": [{"downwardAPI": {"items": items}}]}},
        }
        for kind, source in sources.items():
            pod = _watcher(kind, {"own": source}, annotations={"colour": "red"})
            client.core.create_namespaced_pod(NAMESPACE, pod)
        wait = ("wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s")
        cluster.kubectl("-n", NAMESPACE, *wait)
        for kind in KINDS:
            found.write("patch", _name(kind, "kept"), key="after")
            found.write("delete", _name(kind, "gone"))
            found.write("create", _name(kind, "late"), key="at last")
        for kind in sources:
            merged = {"metadata": {"labels": {"size": "large"}, "annotations": {"colour": "blue"}}}
            client.core.patch_namespaced_pod(kind, NAMESPACE, merged)
        yield found


def _cases(kinds: dict[str, str], name: str) -> list[Any]:
    return [
        pytest.param(kind, marks=pytest.mark.conformance(syllabus()[file, name]))
        for kind, file in kinds.items()
        if (file, name) in syllabus()
    ]


@pytest.mark.parametrize("kind", _cases(KINDS, "optional updates"))
def test_what_is_optional_comes_changes_and_goes(changing: Changing, kind: str) -> None:
    changing.shows(kind, "kept/key", "after")
    changing.shows(kind, "late/key", "at last")
    changing.shows(kind, "gone/key", "")


@pytest.mark.parametrize(
    "kind",
    [
        *_cases(KINDS, "updates reflected"),
        *_cases(KINDS, "updates"),
    ],
)
def test_updates_are_seen(changing: Changing, kind: str) -> None:
    changing.shows(kind, "kept/key", "after")


@pytest.mark.parametrize("kind", _cases(DOWNWARD, "labels updated"))
def test_labels_are_seen(changing: Changing, kind: str) -> None:
    changing.shows(kind, "own/labels", 'size="large"')


@pytest.mark.parametrize("kind", _cases(DOWNWARD, "annotations updated"))
def test_annotations_are_seen(changing: Changing, kind: str) -> None:
    changing.shows(kind, "own/annotations", 'colour="blue"')


@line(WRAPPER, "50 configMap volumes x 5 pods")
def test_many_volumes_of_many_pods(changing: Changing, cluster: Cluster, client: Official) -> None:
    names = [f"config-map-many-{number}" for number in range(50)]
    for name in names:
        changing.write("create", name, key=name)
    volumes = {name: {"configMap": {"name": name}} for name in names}
    pods = [f"many-{number}" for number in range(5)]
    for pod in pods:
        client.core.create_namespaced_pod(NAMESPACE, _watcher(pod, volumes))
    for pod in pods:
        cluster.kubectl("-n", NAMESPACE, "wait", f"pod/{pod}", "--for=condition=Ready",
                        "--timeout=60s")  # fmt: skip
    printed = cluster.kubectl("-n", NAMESPACE, "exec", pods[0], "--", "sh", "-c", "cat /v/*/key")
    assert all(name in printed for name in names)


def _expanded(name: str, expression: str, value: str) -> dict[str, Any]:
    pod = _watcher(name, {"own": {"emptyDir": {}}}, annotations={"place": value})
    container = pod["spec"]["containers"][0]
    place = {"fieldRef": {"fieldPath": "metadata.annotations['place']"}}
    container["env"] = [{"name": "PLACE", "valueFrom": place}]
    container["volumeMounts"][0]["subPathExpr"] = expression
    return pod


def _waits(cluster: Cluster, name: str) -> None:
    def reason() -> bool:
        found = cluster.get("-n", NAMESPACE, "pod", name)["status"].get("containerStatuses")
        waiting = (found or [{}])[0].get("state", {}).get("waiting", {})
        return waiting.get("reason") in ("CreateContainerConfigError", "CreateContainerError")

    cluster.eventually(f"{name} can not start", reason)


@line(EXPANSION, "subPathExpr absolute path fails")
def test_a_path_from_the_root_does_not_start(
    changing: Changing, cluster: Cluster, client: Official
) -> None:
    client.core.create_namespaced_pod(NAMESPACE, _expanded("absolute", "$(PLACE)", "/tmp"))
    _waits(cluster, "absolute")


@line(EXPANSION, "subPathExpr backticks fail")
def test_a_path_out_of_the_volume_does_not_start(
    changing: Changing, cluster: Cluster, client: Official
) -> None:
    client.core.create_namespaced_pod(NAMESPACE, _expanded("ticks", "$(PLACE)", ".."))
    _waits(cluster, "ticks")


@line(EXPANSION, "failing subPathExpr fixed later")
def test_a_path_that_is_mended_starts(
    changing: Changing, cluster: Cluster, client: Official
) -> None:
    client.core.create_namespaced_pod(NAMESPACE, _expanded("mended", "$(PLACE)", "/tmp"))
    _waits(cluster, "mended")
    better = {"metadata": {"annotations": {"place": "mypath"}}}
    client.core.patch_namespaced_pod("mended", NAMESPACE, better)
    cluster.kubectl("-n", NAMESPACE, "wait", "pod/mended", "--for=condition=Ready",
                    "--timeout=60s")  # fmt: skip
