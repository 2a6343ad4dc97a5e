"""The kubelet pulls from a registry that wants to know who asks, on both CRI servers."""

import base64
import json
from collections.abc import Iterator

import pytest
from kit.containerd import Containerd, pod_of, wait_for
from kit.image_registry import PASSWORD, USER, big, docker_registry
from kit.node import Workers, workers

PORT = 5102


@pytest.fixture(scope="module")
def registry(runtime: Containerd) -> Iterator[str]:
    root = runtime.root / "wary"
    images = [big(f"team/run:v{number}") for number in (1, 2, 3)]
    with docker_registry(root, runtime.netns, PORT, images, private=True) as address:
        yield address


def _secret(location: str, user: str = USER, password: str = PASSWORD) -> dict[str, bytes]:
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {".dockerconfigjson": json.dumps({"auths": {location: {"auth": auth}}}).encode()}


def _pod(uid: str, image: str, *secrets: str, policy: str = "IfNotPresent") -> dict:
    body = pod_of(uid, name=uid, imagePullSecrets=[{"name": name} for name in secrets])
    body["spec"]["containers"][0] |= {"image": image, "imagePullPolicy": policy}
    return body


def _waiting(node: Workers, uid: str) -> dict:
    return node.container(uid).get("state", {}).get("waiting", {})


async def _gone(node: Workers, uid: str) -> None:
    node.delete(uid, grace=0)
    await wait_for(lambda: uid in node.cluster.removed)


async def test_a_secret_opens_the_registry(runtime: Containerd, registry: str) -> None:
    image = f"{registry}/team/run:v1"
    async with workers(runtime) as node:
        node.cluster.objects["secret", "wrong"] = _secret(f"{registry}/team", "pilot", "no")
        node.cluster.objects["secret", "right"] = _secret(f"http://{registry}/v2/")
        node.apply(_pod("uid-open", image, "absent", "wrong", "right"))
        await wait_for(lambda: node.is_ready("uid-open"))
        reasons = node.notes.reasons("uid-open")
        assert reasons[:3] == ["FailedToRetrieveImagePullSecret", "Pulling", "Pulled"] or (
            reasons[:3] == ["Pulling", "FailedToRetrieveImagePullSecret", "Pulled"]
        )
        (text,) = [text for _, reason, text in node.notes.notes if "Secret" in reason]
        assert text.startswith("Unable to retrieve some image pull secrets (absent);")
        (pulled,) = [text for _, reason, text in node.notes.notes if reason == "Pulled"]
        assert "Image size: " in pulled
        await _gone(node, "uid-open")


async def test_others_do_not_get_in_through_the_node(runtime: Containerd, registry: str) -> None:
    image = f"{registry}/team/run:v3"
    async with workers(runtime) as node:
        node.cluster.objects["secret", "right"] = _secret(registry)
        node.apply(_pod("uid-first", image, "right"))
        await wait_for(lambda: node.is_ready("uid-first"))
        for uid, policy in (("uid-other", "IfNotPresent"), ("uid-sly", "Never")):
            node.apply(_pod(uid, image, policy=policy))
        await wait_for(lambda: _waiting(node, "uid-other").get("reason") == "ErrImagePull")
        await wait_for(lambda: _waiting(node, "uid-sly").get("reason") == "ErrImageNeverPull")
        assert "proper credentials" in _waiting(node, "uid-sly")["message"]
        node.apply(_pod("uid-friend", image, "right", policy="Never"))
        await wait_for(lambda: node.is_ready("uid-friend"))
        for uid in ("uid-first", "uid-other", "uid-sly", "uid-friend"):
            await _gone(node, uid)


async def test_without_it_the_pull_waits_and_then_goes_on(
    runtime: Containerd, registry: str
) -> None:
    image = f"{registry}/team/run:v2"
    async with workers(runtime) as node:
        node.apply(_pod("uid-shut", image))
        await wait_for(lambda: _waiting(node, "uid-shut").get("reason") == "ErrImagePull")
        await wait_for(lambda: _waiting(node, "uid-shut").get("reason") == "ImagePullBackOff")
        message = _waiting(node, "uid-shut")["message"]
        assert message.startswith(f'Back-off pulling image "{image}": ErrImagePull: ')
        told = {(reason, text) for _, reason, text in node.notes.notes}
        assert ("Failed", "Error: ErrImagePull") in told
        assert ("BackOff", f'Back-off pulling image "{image}"') in told
        await _gone(node, "uid-shut")


async def test_what_needs_no_registry(runtime: Containerd, registry: str) -> None:
    async with workers(runtime) as node:
        node.apply(_pod("uid-never", f"{registry}/team/none:v1", policy="Never"))
        await wait_for(lambda: _waiting(node, "uid-never").get("reason") == "ErrImageNeverPull")
        node.apply(_pod("uid-name", "Not/A/Name"))
        await wait_for(lambda: _waiting(node, "uid-name").get("reason") == "InvalidImageName")
        assert "couldn't parse image name" in _waiting(node, "uid-name")["message"]
        for uid in ("uid-never", "uid-name"):
            await _gone(node, uid)
