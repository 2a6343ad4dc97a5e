"""What is told of a pod: phase, conditions, container states, and the patch that tells it."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.kubelet.pod import status
from pilothouse.services.kubelet.pod.observed import (
    Container,
    Health,
    Known,
    Observed,
    Sandbox,
    Trouble,
)
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.workers.status_writer import difference

NOW = 1_000_000.0
PLACE = status.Place("10.0.0.1")
READY = Sandbox("s0", 0, ready=True, ips=("10.1.0.2",))


def pod_of(policy: str = "Always", **spec: object) -> Pod:
    body = {
        "metadata": {"name": "web", "namespace": "default", "uid": "u", "generation": 3},
        "spec": {"restartPolicy": policy, "containers": [{"name": "c", "image": "x"}], **spec},
    }
    return msgspec.convert(body, Pod)


def container(state: str, **parts: object) -> Container:
    made = Container("c-0", "c", 0, "s0", state, started_at=NOW - 9)
    if state == "exited":
        made = replace(made, finished_at=NOW - 1)
    return replace(made, **parts)


def shown(pod: Pod, *containers: Container, known: Known | None = None, now: float = NOW):
    return status.render(pod, Observed((READY,), containers), known or Known(), PLACE, now)


def condition(rendered: dict, type_: str) -> tuple[str, str]:
    found = next(item for item in rendered["conditions"] if item["type"] == type_)
    return found["status"], found.get("reason", "")


def test_before_anything_runs():
    rendered = status.render(pod_of(), Observed(), Known(), PLACE, NOW)
    assert rendered["phase"] == "Pending"
    assert rendered["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert condition(rendered, "PodReadyToStartContainers") == ("False", "")
    assert condition(rendered, "Ready") == ("False", "ContainersNotReady")
    assert condition(rendered, "PodScheduled") == ("True", "")
    assert "podIP" not in rendered
    assert rendered["observedGeneration"] == 3


def test_running_and_ready():
    rendered = shown(pod_of(), container("running"))
    assert rendered["phase"] == "Running"
    assert rendered["podIP"] == "10.1.0.2"
    assert condition(rendered, "Ready") == ("True", "")
    assert rendered["containerStatuses"][0]["started"] is True


@pytest.mark.parametrize(
    ("health", "started", "ready"),
    [
        (Health(started=None, ready=None), False, False),
        (Health(started=True, ready=None), True, False),
        (Health(started=True, ready=True), True, True),
        (Health(started=False, ready=True), False, False),
    ],
)
def test_probes_hold_readiness_back(health, started, ready):
    probe = {"tcpSocket": {"port": 1}}
    spec = {"name": "c", "readinessProbe": probe, "startupProbe": probe}
    known = Known(health={"c-0": health})
    entry = shown(pod_of(containers=[spec]), container("running"), known=known)
    entry = entry["containerStatuses"][0]
    assert (entry["started"], entry["ready"]) == (started, ready)


@pytest.mark.parametrize(
    ("policy", "code", "phase"),
    [
        ("Never", 0, "Succeeded"), ("Never", 2, "Failed"), ("OnFailure", 0, "Succeeded"),
        ("OnFailure", 2, "Running"), ("Always", 0, "Running"),
    ],
)  # fmt: skip
def test_phases_of_what_ended(policy, code, phase):
    ended = container("exited", exit_code=code, wait_seconds=10.0)
    rendered = shown(pod_of(policy), ended)
    assert rendered["phase"] == phase
    state = rendered["containerStatuses"][0]["state"]
    again = phase == "Running"
    assert ("waiting" in state) == again
    if again:
        assert state["waiting"]["reason"] == "CrashLoopBackOff"
        assert "web_default(u)" in state["waiting"]["message"]
        last = rendered["containerStatuses"][0]["lastState"]["terminated"]
        assert last["exitCode"] == code
    else:
        assert state["terminated"]["reason"] == ("Completed" if code == 0 else "Error")


def test_a_pod_that_goes_before_it_ran_has_failed():
    metadata = msgspec.structs.replace(pod_of().metadata, deletion_timestamp="2026-01-01T00:00:00Z")
    pod = msgspec.structs.replace(pod_of(), metadata=metadata)
    assert shown(pod)["phase"] == "Failed"
    assert shown(pod, container("running"))["phase"] == "Running"


def test_out_of_memory_is_the_runtimes_word():
    ended = container("exited", exit_code=137, reason="OOMKilled")
    state = shown(pod_of("Never"), ended)["containerStatuses"][0]["state"]
    assert state["terminated"]["reason"] == "OOMKilled"


def test_trouble_with_an_image():
    trouble = {"c": Trouble("ErrImagePull", "no such image", NOW + 9, 10.0)}
    state = shown(pod_of(), known=Known(troubles=trouble))["containerStatuses"][0]["state"]
    assert state == {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}


def test_a_terminal_phase_stays_and_lost_containers_are_remembered():
    before = shown(pod_of("Never"), container("exited", exit_code=1))
    pod = msgspec.structs.replace(pod_of("Never"), status=before)
    later = status.render(pod, Observed(), Known(), PLACE, NOW + 99)
    assert later["phase"] == "Failed"
    assert later["containerStatuses"] == before["containerStatuses"]


def test_readiness_gates_count():
    pod = pod_of(readinessGates=[{"conditionType": "x/y"}])
    assert condition(shown(pod, container("running")), "Ready") == (
        "False",
        "ReadinessGatesNotReady",
    )
    met = {"conditions": [{"type": "x/y", "status": "True"}]}
    rendered = shown(msgspec.structs.replace(pod, status=met), container("running"))
    assert condition(rendered, "Ready")[0] == "True"
    assert "x/y" not in [item["type"] for item in rendered["conditions"]]


@given(
    st.sampled_from(["created", "running", "exited", "unknown"]),
    st.sampled_from(["Always", "OnFailure", "Never"]),
    st.integers(0, 2),
)
def test_the_same_observation_says_nothing_new(state, policy, code):
    one = container(state, exit_code=code, wait_seconds=10.0)
    first = shown(pod_of(policy), one)
    pod = msgspec.structs.replace(pod_of(policy), status=first)
    second = shown(pod, one, now=NOW + 2)
    assert difference(second, first) == {}


def test_a_patch_says_what_changed_and_no_more():
    old = shown(pod_of())
    foreign = {"type": "x/y", "status": "True"}
    old["conditions"].append(foreign)
    new = shown(msgspec.structs.replace(pod_of(), status=old), container("running"))
    patch = difference(new, old)
    assert set(patch) == {"phase", "conditions", "containerStatuses"}
    assert {item["type"] for item in patch["conditions"]} == {"Ready", "ContainersReady"}
    moved = difference(new | {"podIP": "1.2.3.4", "podIPs": [{"ip": "1.2.3.4"}]}, new)
    assert moved["podIPs"] == [{"$patch": "replace"}, {"ip": "1.2.3.4"}]
    assert difference(new, new | {"reason": "x"}) == {"reason": None}


def test_a_pod_has_not_ended_before_its_sidecars_have():
    side = {"name": "side", "image": "x", "restartPolicy": "Always"}
    pod = msgspec.structs.replace(
        pod_of("Never", initContainers=[side]), status={"phase": "Running"}
    )
    running = Container("s-0", "side", 0, "s0", "running", started_at=NOW - 9)
    assert shown(pod, container("exited"), running)["phase"] == "Running"
    ended = replace(running, state="exited", exit_code=137, finished_at=NOW)
    assert shown(pod, container("exited"), ended)["phase"] == "Succeeded"
