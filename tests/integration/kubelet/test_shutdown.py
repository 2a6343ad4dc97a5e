"""A machine that goes down waits until its pods have ended: a bus of our own, a logind we play."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.containerd import pod_of
from kit.logind import bus, logind
from kit.whole_node import WholeNode

from pilothouse.services.kubelet.adapters.machine.logind import dial
from pilothouse.services.machinery.errors import ServiceUnavailable

GRACE = """apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
shutdownGracePeriod: 40s
shutdownGracePeriodCriticalPods: 20s
"""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with bus() as found:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", found)
        yield found


async def _until(question) -> None:
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(question):
            await asyncio.sleep(0.05)


async def test_a_lock_is_taken_for_as_long_as_asked(address: str, tmp_path: Path) -> None:
    drop_in = tmp_path / "conf.d" / "99-kubelet.conf"
    async with logind(address, drop_in) as played, dial(drop_in) as login:
        await login.inhibit(4.0)
        assert (played.held, drop_in.exists()) == (1, False)
        assert played.asked[0][0::3] == ["shutdown", "delay"]
        await login.inhibit(30.0)
        await _until(lambda: played.held == 1)
        assert (played.delay_seconds, await login.delay_seconds()) == (30.0, 30.0)
        login.release()
        await _until(lambda: played.held == 0)
        events = login.events()
        for going in (True, False):
            await played.prepare_for_shutdown(going)
            assert await anext(events) is going
        await events.aclose()


async def test_nobody_there_is_an_error_of_its_own(address: str, tmp_path: Path) -> None:
    async with dial(tmp_path / "conf") as login:
        with pytest.raises(ServiceUnavailable, match="login1"):
            await login.inhibit(1.0)
    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = f"unix:path={tmp_path}/absent"
    with pytest.raises(ServiceUnavailable, match="no D-Bus"):
        async with dial(tmp_path / "conf"):
            pass


def _pod(name: str) -> dict:
    body = pod_of("", name=name)
    body["metadata"] = {"name": name, "namespace": "default"}
    return body


def _status(node: WholeNode, name: str) -> dict:
    return node.get("pod", name).get("status", {})


def _ready(node: WholeNode) -> tuple[str, str]:
    conditions = node.get("node", "node-1")["status"]["conditions"]
    found = next(item for item in conditions if item["type"] == "Ready")
    return found["status"], found["message"]


async def test_pods_end_before_the_machine(node: WholeNode, address: str) -> None:
    config = node.root / "kubelet.yaml"
    config.write_text(GRACE)
    try:
        await _go_down_and_come_back(node, config, address)
    finally:
        await asyncio.to_thread(_end, node)


async def _go_down_and_come_back(node: WholeNode, config: Path, address: str) -> None:
    async with logind(address, node.root / "unused") as played:
        played.delay_seconds = 100.0
        await asyncio.to_thread(_begin, node, config)
        await _until(lambda: played.held == 1)
        await played.prepare_for_shutdown(going=True)
        await _until(lambda: _status(node, "walker").get("phase") == "Failed")
        await _until(lambda: played.held == 0)
        await asyncio.to_thread(_judge, node)
        await played.prepare_for_shutdown(going=False)
        await _until(lambda: _ready(node)[0] == "True")
        await _until(lambda: played.held == 1)
        await asyncio.to_thread(_after, node)


def _begin(node: WholeNode, config: Path) -> None:
    node.create(_pod("walker"))
    node.wait(lambda: node.is_ready("walker"))
    node.kill("kubelet")
    node.start_kubelet(f"--config={config}")


def _judge(node: WholeNode) -> None:
    status = _status(node, "walker")
    assert status["reason"] == "Terminated"
    assert status["message"] == "Pod was terminated in response to imminent node shutdown."
    conditions = {item["type"]: item for item in status["conditions"]}
    assert conditions["DisruptionTarget"]["reason"] == "TerminationByKubelet"
    node.wait(lambda: _ready(node)[0] == "False")
    assert "node is shutting down" in _ready(node)[1]
    node.create(_pod("late"))
    node.wait(lambda: _status(node, "late").get("phase") == "Failed")
    assert _status(node, "late")["reason"] == "NodeShutdown"
    events = json.loads(node.kubectl("get", "events", "-o", "json").stdout)["items"]
    assert "Shutdown manager detected shutdown event" in {item["message"] for item in events}


def _after(node: WholeNode) -> None:
    node.create(_pod("again"))
    node.wait(lambda: node.is_ready("again"))


def _end(node: WholeNode) -> None:
    """As other tests expect it, whatever happened here."""
    node.kill("kubelet")
    node.start_kubelet()
    pods = ("walker", "late", "again")
    node.kubectl("delete", "pod", *pods, "--ignore-not-found", "--grace-period=1")
