"""Images as volumes: mounted by the runtime, or by the kubelet where the runtime is too old."""

from pathlib import Path

import pytest
from kit.containerd import Containerd, pod_of, wait_for
from kit.node import Workers, workers


def _pod(uid: str, reference: str, script: str, **mount: str) -> dict:
    volume = {"name": "img", "image": {"reference": reference, "pullPolicy": "IfNotPresent"}}
    body = pod_of(uid, name=uid, restartPolicy="Never", volumes=[volume])
    body["spec"]["containers"][0] |= {
        "command": ["sh", "-c", script],
        "volumeMounts": [{"name": "img", "mountPath": "/img", **mount}],
    }
    return body


async def _gone(node: Workers, uid: str) -> None:
    node.delete(uid, grace=0)
    await wait_for(lambda: uid in node.cluster.removed)
    assert uid not in Path("/proc/self/mountinfo").read_text()
    assert uid not in node.containerd.ctr("snapshots", "list").stdout


@pytest.mark.parametrize(
    ("sub_path", "program"), [("", "/img/bin/busybox"), ("bin", "/img/busybox")]
)
async def test_files_are_seen_and_not_written(
    runtime: Containerd, sub_path: str, program: str
) -> None:
    uid = f"uid-image-{sub_path or 'whole'}"
    script = f"{program} true && touch /img/new; echo $? >/dev/termination-log; test -e /img/new"
    body = _pod(
        uid, "docker.io/library/busybox", script, **({"subPath": sub_path} if sub_path else {})
    )
    async with workers(runtime) as node:
        node.apply(body)
        await wait_for(lambda: node.status(uid).get("phase") in {"Failed", "Succeeded"})
        ended = node.container(uid)["state"]["terminated"]
        assert (ended["exitCode"], ended["message"]) == (1, "1\n")
        await _gone(node, uid)


async def test_what_can_not_be_pulled_holds_the_container_back(runtime: Containerd) -> None:
    async with workers(runtime) as node:
        node.apply(_pod("uid-image-none", "127.0.0.1:1/none:v1", "true"))

        def reason() -> str:
            state = node.container("uid-image-none").get("state", {})
            return state.get("waiting", {}).get("reason", "")

        await wait_for(lambda: reason() == "ImagePullBackOff")
        told = [text for _, why, text in node.notes.notes if why == "BackOff"]
        assert told == ['Back-off pulling image "127.0.0.1:1/none:v1"']
        await _gone(node, "uid-image-none")
