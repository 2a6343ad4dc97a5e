"""Images: as volumes, and what users are told of those that can not be had."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kit.cluster import Cluster
from kit.image_registry import PASSWORD, USER, big, docker_registry
from kit.syllabus import line

SECONDS_MAX = 40.0
REGISTRY_PORT = 5103
VOLUME = "common/node/image_volume.go"


def _pod(name: str, script: str = "sleep 3600", **spec: Any) -> dict[str, Any]:
    main = {"name": "main", "image": "busybox", "command": ["sh", "-c", script]}
    main |= spec.pop("main", {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            **spec,
            "containers": [main],
        },
    }


def _seen(cluster: Cluster, namespace: str, name: str, found: Callable[[Any], Any]) -> Any:
    """What ``found`` gives of the pod, once it is truthy."""
    deadline = time.monotonic() + SECONDS_MAX
    pod: Any = {}
    while time.monotonic() < deadline:
        pod = cluster.get("-n", namespace, "pod", name)
        if said := found(pod):
            return said
        time.sleep(0.2)
    raise AssertionError(json.dumps(pod["status"], indent=1))


def _waiting(pod: Any) -> dict[str, str]:
    statuses = pod["status"].get("containerStatuses") or [{"state": {}}]
    waiting: dict[str, str] = statuses[0]["state"].get("waiting") or {}
    return waiting


def _apply(cluster: Cluster, namespace: str, *pods: dict[str, Any]) -> None:
    for pod in pods:
        cluster.kubectl("-n", namespace, "create", "-f", "-", stdin=json.dumps(pod))


@line(VOLUME, "image volume, pull Always")
def test_an_image_is_a_volume(cluster: Cluster, namespace: str) -> None:
    script = (
        "ls /img/bin/busybox /part/busybox; touch /img/new 2>&1 | grep -c Read-only; exec sleep 999"
    )
    image = {"reference": "docker.io/library/busybox:latest", "pullPolicy": "Always"}
    mounts = [
        {"name": "img", "mountPath": "/img"},
        {"name": "img", "mountPath": "/part", "subPath": "bin"},
    ]
    pod = _pod("volume", script, volumes=[{"name": "img", "image": image}])
    pod["spec"]["containers"][0]["volumeMounts"] = mounts
    _apply(cluster, namespace, pod)
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/volume")
    log = cluster.kubectl("-n", namespace, "logs", "volume")
    assert log.split() == ["/img/bin/busybox", "/part/busybox", "1"]
    listed = cluster.kubectl("-n", namespace, "exec", "volume", "--", "ls", "/part")
    assert "busybox" in listed
    cluster.kubectl("-n", namespace, "delete", "pod", "volume", "--timeout=30s")


def test_users_are_told_why_there_is_no_image(cluster: Cluster, namespace: str) -> None:
    missing = {"image": "docker.io/library/none:v1"}
    volume = {"name": "img", "image": {"reference": "docker.io/library/none:v2"}}
    held = _pod("held", volumes=[volume])
    held["spec"]["containers"][0]["volumeMounts"] = [{"name": "img", "mountPath": "/img"}]
    _apply(
        cluster,
        namespace,
        _pod("missing", main=missing, imagePullSecrets=[{"name": "absent"}]),
        _pod("never", main={**missing, "imagePullPolicy": "Never"}),
        _pod("nameless", main={"image": "No/Name"}),
        held,
    )
    for name in ("missing", "held"):
        _seen(cluster, namespace, name, lambda pod: _waiting(pod).get("reason") == "ErrImagePull")
    for name, reason in (
        ("missing", "ImagePullBackOff"),
        ("held", "ImagePullBackOff"),
        ("never", "ErrImageNeverPull"),
        ("nameless", "InvalidImageName"),
    ):
        _seen(cluster, namespace, name, lambda pod, why=reason: _waiting(pod).get("reason") == why)
    events = cluster.kubectl("-n", namespace, "get", "events")
    for words in (
        "FailedToRetrieveImagePullSecret",
        'Back-off pulling image "docker.io/library/none:v1"',
        'Back-off pulling image "docker.io/library/none:v2"',
        "Error: ErrImagePull",
        "Error: ErrImageNeverPull",
        "Error: InvalidImageName",
    ):
        assert words in events, words


def test_secrets_open_private_registries(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    netns = f"pilothouse-{cluster.name}-node-1"
    images = [big(f"team/{name}:v1") for name in ("open", "shut", "account")]
    with docker_registry(tmp_path, netns, REGISTRY_PORT, images, private=True) as address:
        for command in (
            ("secret", "docker-registry", "pull", f"--docker-server={address}",
             f"--docker-username={USER}", f"--docker-password={PASSWORD}"),
            ("serviceaccount", "puller"),
        ):  # fmt: skip
            cluster.kubectl("-n", namespace, "create", *command)
        patch = json.dumps({"imagePullSecrets": [{"name": "pull"}]})
        cluster.kubectl("-n", namespace, "patch", "serviceaccount", "puller", "-p", patch)
        here = {"nodeName": "node-1"}
        _apply(
            cluster,
            namespace,
            _pod("open", main={"image": f"{address}/team/open:v1"}, **here,
                 imagePullSecrets=[{"name": "pull"}]),
            _pod("account", main={"image": f"{address}/team/account:v1"}, **here,
                 serviceAccountName="puller"),
            _pod("shut", main={"image": f"{address}/team/shut:v1"}, **here),
        )  # fmt: skip
        for name in ("open", "account"):
            cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", f"pod/{name}")
        _seen(
            cluster,
            namespace,
            "shut",
            lambda pod: _waiting(pod).get("reason", "").endswith("BackOff"),
        )
