"""Why a pod waits, in the order in which it has to be overcome."""

import msgspec

from pilothouse.services.kubelet.pod import explaining
from pilothouse.services.kubelet.pod.explaining import Obstacle
from pilothouse.services.kubelet.pod.observed import (
    SANDBOX,
    VOLUMES,
    Container,
    Health,
    Known,
    Observed,
    Trouble,
)
from pilothouse.services.kubelet.pod.views import Pod

NOW = 100.0
POD = msgspec.convert({"metadata": {"name": "web"}}, Pod)
RUNNING = Observed(containers=(Container("c1", "main", 0, "s1", "running"),))


def _waiting(name, reason, message=""):
    return {"name": name, "state": {"waiting": {"reason": reason, "message": message}}}


def test_a_pod_that_is_well():
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    assert explaining.obstacles(POD, RUNNING, Known(), status, NOW) == []
    assert explaining.obstacles(POD, RUNNING, Known(), {"phase": "Succeeded"}, NOW) == []
    assert explaining.summary([]) == ""


def test_troubles_come_first_and_say_when_it_is_tried_again():
    known = Known(
        troubles={
            "main": Trouble("ImagePullBackOff", "Back-off pulling", NOW + 20, 20.0),
            SANDBOX: Trouble("FailedCreatePodSandBox", "no network", NOW - 1, 1.0),
            VOLUMES: Trouble("FailedMount", "no such secret", NOW + 5, 5.0),
        }
    )
    status = {
        "phase": "Pending",
        "containerStatuses": [_waiting("main", "ContainerCreating"), _waiting("other", "Later")],
    }
    found = explaining.obstacles(POD, Observed(), known, status, NOW)
    assert found == [
        Obstacle("volumes", "FailedMount", "no such secret", 5.0),
        Obstacle("sandbox", "FailedCreatePodSandBox", "no network", 0.0),
        Obstacle("main", "ImagePullBackOff", "Back-off pulling", 20.0),
        Obstacle("other", "Later", ""),
    ]
    assert explaining.summary(found) == "volumes: FailedMount: no such secret (and 3 more)"


def test_probes_that_have_not_passed():
    for health, reason in (
        (Health(started=False), "NotStarted"),
        (Health(ready=False), "NotReady"),
    ):
        found = explaining.obstacles(POD, RUNNING, Known(health={"c1": health}), {}, NOW)
        assert [(item.about, item.reason) for item in found] == [("main", reason)]


def test_what_keeps_a_pod_from_going():
    gone = msgspec.convert(
        {"metadata": {"name": "web", "deletionTimestamp": "2026-01-01T00:00:00Z"}}, Pod
    )
    (found,) = explaining.obstacles(gone, RUNNING, Known(stopping={"c1": NOW + 9}), {}, NOW)
    assert (found.about, found.reason, found.retry_seconds) == ("main", "Terminating", 9.0)
    (found,) = explaining.obstacles(gone, Observed(), Known(), {}, NOW)
    assert found.about == "pod"


def test_a_failed_pod_and_a_gate():
    status = {"phase": "Failed", "reason": "Evicted", "message": "The node was low."}
    (found,) = explaining.obstacles(POD, Observed(), Known(), status, NOW)
    assert found == Obstacle("pod", "Evicted", "The node was low.")
    gate = {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "message": "x"}
    (found,) = explaining.obstacles(POD, RUNNING, Known(), {"conditions": [gate]}, NOW)
    assert found.reason == "ReadinessGatesNotReady"
