"""Pods that a NoExecute taint drives from their node, when their patience is over."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kit.lifecycle import eventually
from kit.manifests import sleeper
from kit.official import Official
from kit.syllabus import line

TAINTS = "node/taints.go"
KEY = "example.com/evict"
NODE = "node-2"


class Tenants:
    """Pods that were given to one node, and are gone one after the other."""

    def __init__(self, client: Official, namespace: str) -> None:
        self.client, self.namespace = client, namespace

    def run(self, **patience: int) -> None:
        """Pods of these names, each tolerating the taint for so many seconds."""
        for name, seconds in patience.items():
            toleration = {
                "key": KEY,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": seconds,
            }
            spec = {"nodeSelector": {"kubernetes.io/hostname": NODE}, "tolerations": [toleration]}
            self.client.core.create_namespaced_pod(self.namespace, sleeper(name, **spec))
        eventually("all run", lambda: self.running() == sorted(patience))

    def running(self) -> list[str]:
        found = self.client.core.list_namespaced_pod(self.namespace).items
        return sorted(
            pod.metadata.name
            for pod in found
            if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp
        )

    def say(self, taints: list[dict[str, Any]]) -> None:
        self.client.core.patch_node(NODE, {"spec": {"taints": taints or None}})

    @contextmanager
    def tainted(self) -> Iterator[None]:
        self.say([{"key": KEY, "value": "yes", "effect": "NoExecute"}])
        try:
            yield
        finally:
            self.say([])


@pytest.fixture
def tenants(client: Official, namespace: str) -> Tenants:
    return Tenants(client, namespace)


@line(TAINTS, "evict pods by tolerationSeconds (multi)")
def test_each_pod_stays_as_long_as_it_tolerates(tenants: Tenants) -> None:
    tenants.run(none=0, short=2, long=3600)
    with tenants.tainted():
        eventually("the first is gone", lambda: tenants.running() == ["long", "short"])
        eventually("the second is gone", lambda: tenants.running() == ["long"])


@line(TAINTS, "taint removal cancels eviction")
def test_a_taint_taken_away_in_time_evicts_nobody(tenants: Tenants) -> None:
    tenants.run(stays=6, goes=1)
    tainted = time.monotonic()
    with tenants.tainted():
        eventually("one is gone", lambda: tenants.running() == ["stays"])
    time.sleep(max(tainted + 7 - time.monotonic(), 0))
    assert tenants.running() == ["stays"]
    events = tenants.client.core.list_namespaced_event(
        tenants.namespace, field_selector="involvedObject.name=stays,reason=TaintManagerEviction"
    )
    (told,) = events.items
    assert told.message == f"Cancelling deletion of Pod {tenants.namespace}/stays"
