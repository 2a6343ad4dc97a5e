"""Volumes as containers see them."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.containerd import pod_of
from kit.whole_node import WholeNode


def _pod(name: str, volumes: list[dict], mounts: list[dict], **container: object) -> dict:
    body = pod_of("", name=name, terminationGracePeriodSeconds=0, volumes=volumes)
    body["metadata"] = {"name": name, "namespace": "default"}
    body["spec"]["containers"][0] |= {"volumeMounts": mounts, **container}
    return body


def _shell(node: WholeNode, name: str, script: str) -> str:
    return node.kubectl("exec", name, "--", "sh", "-c", script, check=False).stdout


def test_a_secret_changes_at_once_in_all_who_show_it(node: WholeNode) -> None:
    node.kubectl("create", "secret", "generic", "shown", "--from-literal=key=before")
    volumes = [{"name": "s", "secret": {"secretName": "shown"}}]
    mounts = [{"name": "s", "mountPath": "/s"}]
    for name in ("first", "second"):
        node.create(_pod(name, volumes, mounts))
    for name in ("first", "second"):
        node.wait(lambda name=name: node.is_ready(name))
    node.kubectl("patch", "secret", "shown", "-p", '{"stringData": {"key": "after"}}')
    for name in ("first", "second"):
        node.wait(lambda name=name: _shell(node, name, "cat /s/key") == "after")
    assert _shell(node, "first", "readlink /s/key") == "..data/key\n"
    patch = '{"immutable": true, "stringData": {"key": "last"}}'
    node.kubectl("patch", "secret", "shown", "-p", patch)
    node.wait(lambda: _shell(node, "first", "cat /s/key") == "last")
    node.kubectl("delete", "pod", "first", "second", "--wait=false")


def test_a_pod_starts_when_what_it_shows_appears(node: WholeNode) -> None:
    volumes = [{"name": "c", "configMap": {"name": "late"}}]
    node.create(_pod("waiting", volumes, [{"name": "c", "mountPath": "/c"}]))
    node.wait(
        lambda: 'configmap "late" not found' in node.kubectl("describe", "pod", "waiting").stdout
    )
    node.kubectl("create", "configmap", "late", "--from-literal=key=there")
    node.wait(lambda: node.is_ready("waiting"))
    assert _shell(node, "waiting", "cat /c/key") == "there"
    node.kubectl("delete", "pod", "waiting", "--wait=false")
    node.wait(lambda: not node.get("pod", "waiting"))


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A directory whose mounts others may see."""
    place = tmp_path / "shared"
    place.mkdir()
    for command in (["mount", "--bind", place, place], ["mount", "--make-shared", place]):
        subprocess.run(command, check=True)
    yield place
    for path in (place / "host", place / "inner", place):
        subprocess.run(["umount", "--lazy", path], check=False, capture_output=True)


def test_mounts_are_seen_as_far_as_they_are_meant_to_be(node: WholeNode, shared: Path) -> None:
    volumes = [{"name": "h", "hostPath": {"path": str(shared), "type": "Directory"}}]
    (shared / "host").mkdir()
    (shared / "inner").mkdir()
    for name, propagation in (("none", "None"), ("to", "HostToContainer"), ("bi", "Bidirectional")):
        mounts = [{"name": "h", "mountPath": "/h", "mountPropagation": propagation}]
        security = {"privileged": propagation == "Bidirectional"}
        node.create(_pod(f"spread-{name}", volumes, mounts, securityContext=security))
    for name in ("none", "to", "bi"):
        node.wait(lambda name=name: node.is_ready(f"spread-{name}"))
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", shared / "host"], check=True)
    (shared / "host" / "file").write_text("x")
    _shell(node, "spread-bi", "mount -t tmpfs tmpfs /h/inner && touch /h/inner/mine")
    seen = {name: _shell(node, f"spread-{name}", "ls /h/host /h/inner").split()
            for name in ("none", "to", "bi")}  # fmt: skip
    assert seen["none"] == ["/h/host:", "/h/inner:"]
    assert seen["to"] == ["/h/host:", "file", "/h/inner:", "mine"]
    assert seen["bi"] == seen["to"]
    assert (shared / "inner" / "mine").exists()
    node.kubectl("delete", "pod", "spread-none", "spread-to", "spread-bi", "--wait=false")
    for name in ("none", "to", "bi"):
        node.wait(lambda name=name: not node.get("pod", f"spread-{name}"))


def test_subpaths_outlive_their_container_and_go_with_the_pod(node: WholeNode) -> None:
    volumes = [{"name": "v", "emptyDir": {}}]
    mounts = [
        {"name": "v", "mountPath": "/all"},
        {"name": "v", "mountPath": "/some", "subPathExpr": "of/$(NAME)"},
    ]
    env = [{"name": "NAME", "value": "mine"}]
    node.create(_pod("below", volumes, mounts, env=env))
    node.wait(lambda: node.is_ready("below"))
    assert _shell(node, "below", "echo x > /some/f; cat /all/of/mine/f; kill 1") == "x\n"

    def restarts() -> int:
        return node.get("pod", "below")["status"]["containerStatuses"][0]["restartCount"]

    node.wait(lambda: restarts() == 1 and node.is_ready("below"))
    assert _shell(node, "below", "cat /some/f") == "x\n"
    uid = node.get("pod", "below")["metadata"]["uid"]
    assert f"/{uid}/volume-subpaths/v/main/1" in Path("/proc/self/mountinfo").read_text()
    node.kubectl("delete", "pod", "below")
    node.wait(lambda: not (node.root / "kubelet" / "pods" / uid).exists())
    assert uid not in Path("/proc/self/mountinfo").read_text()
