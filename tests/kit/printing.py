"""Pods that print something and end: what their containers see, as lines of a log.

``Printing`` says what a pod is given and what it must print; all pods of a module start together,
so that many of them cost little more than one.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from kit.cluster import Cluster
from kit.namespaces import furnished
from kit.official import Official
from kit.syllabus import syllabus


@dataclass(frozen=True)
class Printing:
    """``lines``: the syllabus lines it stands for, ``(file, name)`` each.

    ``script`` runs in busybox's shell; ``prints`` are regular expressions, each found in the log.
    ``container`` and ``pod`` are merged into the container and the pod's spec.
    """

    name: str
    lines: Sequence[tuple[str, str]]
    script: str
    prints: Sequence[str]
    container: Mapping[str, Any] = field(default_factory=dict)
    pod: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    phase: str = "Succeeded"

    def manifest(self) -> dict[str, Any]:
        command = {"command": ["sh", "-c", self.script]} if self.script else {}
        main = {"name": "main", "image": "busybox", **command, **self.container}
        return {
            "metadata": {"name": self.name, **self.metadata},
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 0,
                "containers": [main],
                **self.pod,
            },
        }


def mounted(volume: dict[str, Any], **container: Any) -> dict[str, Any]:
    """What a ``Printing`` whose container sees that volume at ``/v`` is given."""
    mounts = container.pop("mounts", [{"name": "v", "mountPath": "/v"}])
    return {"container": {"volumeMounts": mounts, **container}, "pod": {"volumes": [volume]}}


def cases(pods: Iterable[Printing]) -> list[Any]:
    """A test's parameters, each standing for its lines of the syllabus."""
    return [
        pytest.param(
            pod,
            id=pod.name,
            marks=[pytest.mark.conformance(syllabus()[one]) for one in pod.lines],
        )
        for pod in pods
    ]


@contextlib.contextmanager
def started(
    cluster: Cluster, client: Official, name: str, pods: Iterable[Printing]
) -> Iterator[str]:
    """All of them at once, in a namespace with a ConfigMap and a Secret called ``things``."""
    data = {"one": "value-1\n", "two": "value-2\n"}
    things = {"metadata": {"name": "things"}}
    with furnished(cluster, client, name):
        binary = {"binary": "3q2+7w=="}
        client.core.create_namespaced_config_map(
            name, {**things, "data": data, "binaryData": binary}
        )
        client.core.create_namespaced_secret(name, {**things, "stringData": data})
        for pod in pods:
            client.core.create_namespaced_pod(name, pod.manifest())
        yield name


def check(cluster: Cluster, client: Official, namespace: str, pod: Printing) -> None:
    """Wait for its end and read what it printed."""

    def ended() -> bool:
        status = client.core.read_namespaced_pod_status(pod.name, namespace).status
        return status.phase in ("Succeeded", "Failed")

    cluster.eventually(f"{pod.name} has ended", ended, seconds=60)
    status = client.core.read_namespaced_pod_status(pod.name, namespace).status
    printed = client.core.read_namespaced_pod_log(pod.name, namespace, container="main")
    assert status.phase == pod.phase, printed
    for expected in pod.prints:
        assert re.search(expected, printed, re.MULTILINE), f"no {expected!r} in:\n{printed}"
