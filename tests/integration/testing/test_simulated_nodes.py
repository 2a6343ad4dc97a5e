"""Simulated nodes beside a control plane: pods run, end, move and go, and nothing is left."""

import ipaddress
import json
import subprocess

import pytest
import yaml

from pilothouse.ops.testing.control_plane import ControlPlane, start

NODES = 3


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    with start(tmp_path_factory.mktemp("simulated"), nodes=NODES) as found:
        yield found


def get(plane: ControlPlane, *what: str) -> dict:
    return json.loads(plane.kubectl("get", *what, "-o", "json"))


def apply(plane: ControlPlane, *bodies: dict) -> None:
    plane.kubectl("apply", "-f", "-", text=yaml.safe_dump_all(bodies))


def job(name: str, annotations: dict, **spec) -> dict:
    container = {"name": "main", "image": "work"}
    template = {
        "metadata": {"annotations": annotations},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"template": template, **spec}}  # fmt: skip


def test_nodes_are_ready_and_say_what_they_are(plane):
    nodes = get(plane, "nodes")["items"]
    assert [item["metadata"]["name"] for item in nodes] == [f"simulated-{i}" for i in range(NODES)]
    for item in nodes:
        assert item["metadata"]["labels"]["type"] == "kwok"
        assert {"type": "Ready", "status": "True"}.items() <= item["status"]["conditions"][
            -1
        ].items()
        assert "taints" not in item["spec"]
    names = [f"lease/simulated-{i}" for i in range(NODES)]
    plane.kubectl("wait", "--for=create", *names, "-n", "kube-node-lease", "--timeout=20s")
    leases = get(plane, "leases", "-n", "kube-node-lease")["items"]
    assert len(leases) == NODES
    assert leases[0]["metadata"]["ownerReferences"][0]["kind"] == "Node"


def test_a_deployment_becomes_available_and_goes(plane):
    plane.kubectl("create", "deployment", "web", "--image=web", "--replicas=6", "--port=80")
    plane.kubectl("expose", "deployment", "web")
    plane.kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    pods = get(plane, "pods", "-l", "app=web")["items"]
    ranges = {
        item["metadata"]["name"]: ipaddress.ip_network(item["spec"]["podCIDR"])
        for item in get(plane, "nodes")["items"]
    }
    addresses = {pod["status"]["podIP"] for pod in pods}
    assert len(addresses) == 6
    for pod in pods:
        assert ipaddress.ip_address(pod["status"]["podIP"]) in ranges[pod["spec"]["nodeName"]]
        assert pod["status"]["containerStatuses"][0]["state"]["running"]
    plane.kubectl("wait", "--for=jsonpath={.subsets[0].addresses[5].ip}", "endpoints/web")
    plane.kubectl("delete", "deployment,service", "web")
    plane.kubectl("wait", "--for=delete", "pod", "-l", "app=web", "--timeout=20s")


def test_probes_pass_and_init_containers_have_their_turn(plane):
    probe = {"httpGet": {"path": "/", "port": 80}}
    main = {"name": "main", "image": "main", "readinessProbe": probe, "startupProbe": probe,
            "lifecycle": {"postStart": {"exec": {"command": ["true"]}}}}  # fmt: skip
    spec = {
        "initContainers": [
            {"name": "once", "image": "once"},
            {"name": "beside", "image": "beside", "restartPolicy": "Always"},
        ],
        "containers": [main],
        "securityContext": {"runAsNonRoot": True},
    }
    apply(plane, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probed"}, "spec": spec})
    plane.kubectl("wait", "--for=condition=Ready", "pod/probed", "--timeout=20s")
    status = get(plane, "pod", "probed")["status"]
    once, beside = status["initContainerStatuses"]
    assert once["state"]["terminated"]["reason"] == "Completed"
    assert beside["state"]["running"]
    plane.kubectl("delete", "pod", "probed", "--timeout=20s")


def test_jobs_complete_or_fail_as_they_are_annotated(plane):
    run, code = (f"simulate.pilothouse.io/{name}" for name in ("run-seconds", "exit-code"))
    apply(plane, job("good", {run: "0.1"}, completions=2), job("plain", {}),
          job("bad", {run: "0", code: "3"}, backoffLimit=0))  # fmt: skip
    plane.kubectl("wait", "--for=condition=Complete", "job/good", "job/plain", "--timeout=20s")
    plane.kubectl("wait", "--for=condition=Failed", "job/bad", "--timeout=20s")
    (pod,) = get(plane, "pods", "-l", "job-name=bad")["items"]
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (pod["status"]["phase"], ended["exitCode"]) == ("Failed", 3)
    plane.kubectl("delete", "jobs", "--all", "--timeout=20s")


def test_an_annotation_that_can_not_be_read_is_shown(plane):
    name = "simulate.pilothouse.io/run-seconds"
    plane.kubectl("run", "odd", "--image=odd", f"--annotations={name}=soon")
    path = "{.status.containerStatuses[0].state.waiting.reason}"
    plane.kubectl("wait", f"--for=jsonpath={path}=CreateContainerError", "pod/odd")
    waiting = get(plane, "pod", "odd")["status"]["containerStatuses"][0]["state"]["waiting"]
    assert name in waiting["message"]
    plane.kubectl("delete", "pod", "odd", "--timeout=20s")


def test_a_pod_moves_when_its_node_is_drained(plane):
    plane.kubectl("create", "deployment", "moving", "--image=moving")
    plane.kubectl("rollout", "status", "deployment/moving", "--timeout=20s")
    (pod,) = get(plane, "pods", "-l", "app=moving")["items"]
    node = pod["spec"]["nodeName"]
    plane.kubectl("drain", node, "--timeout=20s")
    plane.kubectl("rollout", "status", "deployment/moving", "--timeout=20s")
    (moved,) = get(plane, "pods", "-l", "app=moving")["items"]
    assert moved["spec"]["nodeName"] != node
    plane.kubectl("uncordon", node)
    plane.kubectl("delete", "deployment", "moving")


@pytest.mark.parametrize("verb", [["logs"], ["exec", "-it"], ["attach"]])
def test_there_is_nothing_to_look_into(plane, verb):
    name = f"closed-{verb[0]}"
    plane.kubectl("run", name, "--image=closed")
    plane.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=20s")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        plane.kubectl(*verb, name, *(["--", "ls"] if verb[0] == "exec" else []))
    assert "as those of simulated nodes" in failed.value.stderr
    plane.kubectl("delete", "pod", name, "--wait=false")


def test_a_node_serves_nothing(plane):
    with pytest.raises(subprocess.CalledProcessError) as failed:
        plane.kubectl("get", "--raw", "/api/v1/nodes/simulated-0/proxy/healthz")
    assert "its kubelet tells no port" in failed.value.stderr


def test_a_node_that_is_deleted_stays_away_until_it_is_created_again(plane):
    plane.kubectl("delete", "node", "simulated-2", "--timeout=20s")
    plane.kubectl("wait", "--for=delete", "lease/simulated-2", "-n", "kube-node-lease",
                  "--timeout=20s")  # fmt: skip
    plane.kubectl("run", "elsewhere", "--image=any")
    plane.kubectl("wait", "--for=condition=Ready", "pod/elsewhere", "--timeout=20s")
    assert len(get(plane, "nodes")["items"]) == NODES - 1
    again = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "simulated-2"}}
    apply(plane, again)
    plane.kubectl("wait", "--for=condition=Ready", "node/simulated-2", "--timeout=20s")
    apply(plane, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "there"},
                  "spec": {"containers": [{"name": "c", "image": "i"}],
                           "nodeName": "simulated-2"}})  # fmt: skip
    plane.kubectl("wait", "--for=condition=Ready", "pod/there", "--timeout=20s")
    plane.kubectl("delete", "pod", "there", "elsewhere", "--timeout=20s")
