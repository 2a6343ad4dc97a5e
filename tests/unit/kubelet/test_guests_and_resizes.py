"""Containers added to a pod that runs, and other resources for those that do."""

import msgspec
import pytest

from pilothouse.services.kubelet.pod import container_status, lifecycle
from pilothouse.services.kubelet.pod.observed import Container, Known, Observed, Sandbox
from pilothouse.services.kubelet.pod.plans import (
    EnsureImage,
    ResizeContainer,
    StartContainer,
    StopContainer,
)
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources import resizing
from pilothouse.services.kubelet.workers.status_writer import difference
from pilothouse.services.machinery.errors import Conflict
from pilothouse.services.machinery.kinds.pods import Resources

NOW = 1_000.0
SMALL = {"requests": {"cpu": "100m"}, "limits": {"memory": "10Mi"}}
LARGE = {"requests": {"cpu": "200m"}, "limits": {"memory": "10Mi"}}


def pod(*, guests=(), resources=None, policy=(), status=None):
    main = {"name": "main", "image": "i", "resources": resources or {}, "resizePolicy": policy}
    spec = {"containers": [main], "ephemeralContainers": list(guests)}
    document = {"metadata": {"name": "p", "uid": "u"}, "spec": spec, "status": status or {}}
    return msgspec.convert(document, Pod)


def running(name, state="running"):
    return Container(f"id-{name}", name, 0, "box", state)


def observed(*containers):
    return Observed((Sandbox("box", 0, ready=True),), containers)


def known(**more):
    return Known(volumes_ready=True, images=frozenset({"main", "guest"}), **more)


def acts(pod, seen, memory):
    return lifecycle.plan(pod, seen, memory, NOW).acts


GUEST = {"name": "guest", "image": "i", "targetContainerName": "main"}


def test_a_guest_starts_beside_the_container_it_looks_at():
    asked = pod(guests=[GUEST])
    assert acts(asked, observed(running("main")), known()) == (
        StartContainer("guest", 0, "box", 0.0, "id-main"),
    )
    assert acts(asked, observed(running("main")), Known(volumes_ready=True)) == (
        EnsureImage("guest"),
    )
    waiting = acts(asked, observed(running("main", "created")), known())
    assert all(act.name != "guest" for act in waiting)


def test_a_guest_never_starts_twice():
    asked = pod(guests=[GUEST])
    assert acts(asked, observed(running("main"), running("guest", "exited")), known()) == ()
    told = {"ephemeralContainerStatuses": [{"name": "guest", "containerID": "containerd://x"}]}
    assert acts(pod(guests=[GUEST], status=told), observed(running("main")), known()) == ()


def test_a_guest_does_not_keep_the_pod_and_is_never_ready():
    asked = pod(guests=[GUEST])
    seen = observed(running("main"), running("guest"))
    entry = container_status.of_guest(asked, asked.spec.ephemeral_containers[0], seen, known(), NOW)
    assert entry["ready"] is False
    assert "started" not in entry
    assert "running" in entry["state"]


def in_force(resources):
    return {"id-main": msgspec.convert(resources, Resources)}


def test_other_resources_are_given_in_place_or_by_a_restart():
    seen = observed(running("main"))
    assert acts(pod(resources=SMALL), seen, known(resources=in_force(SMALL))) == ()
    wanted = pod(resources=LARGE)
    assert acts(wanted, seen, known(resources=in_force(SMALL))) == (
        ResizeContainer("id-main", "main"),
    )
    policy = [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]
    (stop,) = acts(pod(resources=LARGE, policy=policy), seen, known(resources=in_force(SMALL)))
    assert isinstance(stop, StopContainer)
    memory = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    (act,) = acts(pod(resources=LARGE, policy=memory), seen, known(resources=in_force(SMALL)))
    assert isinstance(act, ResizeContainer)


def test_what_the_node_has_not_is_not_given():
    seen, wanted = observed(running("main")), pod(resources=LARGE)
    todo = lifecycle.plan(
        wanted, seen, known(resources=in_force(SMALL), refusal=("Deferred", "later")), NOW
    )
    assert (todo.acts, todo.again_at) == ((), NOW + resizing.RETRY_SECONDS)


def test_verdicts():
    node = {"cpu": "1", "memory": "100Mi"}
    large = pod(resources=LARGE)
    assert resizing.judge(large, node, []) == resizing.GRANTED
    assert resizing.judge(large, {"cpu": "100m", "memory": "1Gi"}, []).reason == "Infeasible"
    other = pod(resources={"requests": {"cpu": "900m"}})
    assert resizing.judge(large, node, [other]).reason == "Deferred"
    assert resizing.judge(large, {"cpu": "1", "memory": "5Mi"}, []).reason == "Infeasible"


def test_the_same_amount_in_other_words_is_no_change():
    spec = pod(resources={"requests": {"cpu": "1"}}).spec.containers[0]
    assert not resizing.changed(spec, Resources(requests={"cpu": "1000m"}))
    assert resizing.changed(spec, Resources(requests={"cpu": "1001m"})) == {"cpu"}


def test_conditions_of_a_resize_go_with_it():
    before = {"conditions": [{"type": "PodResizePending", "status": "True", "reason": "Deferred"}]}
    assert difference({"conditions": []}, before)["conditions"] == [
        {"$patch": "delete", "type": "PodResizePending"}
    ]


def test_a_condition_forgets_why_it_was_false():
    before = {"conditions": [{"type": "Ready", "status": "False", "reason": "R", "message": "M"}]}
    wanted = {"conditions": [{"type": "Ready", "status": "True"}]}
    assert difference(wanted, before)["conditions"] == [
        {"reason": None, "message": None, "type": "Ready", "status": "True"}
    ]


def test_memory_in_use_is_not_taken():
    resizing.check_memory("c", 100, 100)
    resizing.check_memory("c", 0, 100)
    text = 'attempting to set container "c" memory limit (99) below current usage (100)'
    with pytest.raises(Conflict) as error:
        resizing.check_memory("c", 99, 100)
    assert error.value.message == text
