"""The kubelet's own server on a real node: who may ask, and whether its figures are true."""

import json
import subprocess
from collections.abc import Iterator

import pytest
from kit.containerd import pod_of
from kit.whole_node import NODE_IP, WholeNode

PROXY = "/api/v1/nodes/node-1/proxy"
FILL = "head -c 3000000 /dev/zero > /data/fill; head -c 1000000 /dev/zero > /layer; echo said"


@pytest.fixture(scope="module")
def busy(node: WholeNode) -> Iterator[str]:
    """A pod that keeps some files, says a line, and is probed."""
    body = pod_of("", name="busy")
    body["metadata"] = {"name": "busy", "namespace": "default"}
    body["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}]
    container = body["spec"]["containers"][0]
    container["command"] = ["sh", "-c", f"{FILL}; trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    container["resources"] = {"limits": {"memory": "64Mi", "cpu": "500m"}}
    container["readinessProbe"] = {"exec": {"command": ["test", "-s", "/layer"]}}
    node.create(body)
    node.wait(lambda: node.is_ready("busy"))
    yield "busy"
    node.kubectl("delete", "pod", "busy", "--grace-period=1")


def _raw(node: WholeNode, path: str) -> str:
    return node.kubectl("get", "--raw", f"{PROXY}{path}").stdout


def _curl(node: WholeNode, path: str, *more: str) -> tuple[int, str]:
    command = node.enter(
        "curl", "-sk", "-w", "\n%{http_code}", f"https://{NODE_IP}:10250{path}", *more
    )
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    body, _, code = told.rpartition("\n")
    return int(code), body


def test_the_summary_is_true(node: WholeNode, busy: str) -> None:
    told = json.loads(_raw(node, "/stats/summary"))
    assert told["node"]["nodeName"] == "node-1"
    assert told["node"]["memory"]["availableBytes"] > 0
    assert told["node"]["fs"]["capacityBytes"] > told["node"]["fs"]["availableBytes"] > 0
    assert told["node"]["runtime"]["imageFs"]["capacityBytes"] > 0
    assert told["node"]["rlimit"]["curproc"] > 0
    names = {item["name"] for item in told["node"]["systemContainers"]}
    assert names == {"kubelet", "runtime", "pods"}
    pod = next(item for item in told["pods"] if item["podRef"]["name"] == busy)
    container = pod["containers"][0]
    assert container["memory"]["availableBytes"] < 64 << 20
    assert 0 < container["memory"]["workingSetBytes"] < 64 << 20
    assert container["cpu"]["usageCoreNanoSeconds"] > 0
    assert container["logs"]["usedBytes"] > 0
    assert pod["network"]["name"] == "eth0"
    assert pod["process_stats"]["process_count"] >= 2
    volumes = {item["name"]: item for item in pod["volume"]}
    assert volumes["data"]["usedBytes"] >= 3_000_000
    assert pod["ephemeral-storage"]["usedBytes"] >= 3_000_000

    def is_layer_counted() -> bool:
        # The runtime counts layers every ten seconds.
        again = json.loads(_raw(node, "/stats/summary"))
        found = next(item for item in again["pods"] if item["podRef"]["name"] == busy)
        layers = found["containers"][0]["rootfs"]["usedBytes"] >= 1_000_000
        return bool(layers and again["node"]["runtime"]["imageFs"]["usedBytes"] > 0)

    node.wait(is_layer_counted, 60)
    brief = json.loads(_raw(node, "/stats/summary?only_cpu_and_memory=true"))
    assert "fs" not in brief["node"]
    assert brief["pods"][0]["containers"][0]["cpu"]["usageCoreNanoSeconds"] > 0


def test_scrapers_find_what_they_look_for(node: WholeNode, busy: str) -> None:
    resource = _raw(node, "/metrics/resource")
    labels = f'container="main",namespace="default",pod="{busy}"'
    assert f"container_memory_working_set_bytes{{{labels}}}" in resource

    assert "resource_scrape_error 0" in resource
    cadvisor = _raw(node, "/metrics/cadvisor")
    for name in ("container_network_receive_bytes_total", "container_cpu_cfs_periods_total",
                 "machine_memory_bytes", "container_fs_usage_bytes"):  # fmt: skip
        assert f"\n{name}{{" in cadvisor, name
    probes = _raw(node, "/metrics/probes")
    assert f'pod="{busy}"' in probes
    assert 'probe_type="Readiness",result="successful"' in probes
    own = _raw(node, "/metrics").splitlines()
    names = {line.partition("{")[0].partition(" ")[0] for line in own}
    assert {
        "kubelet_node_name", "kubelet_running_pods", "kubelet_running_containers",
        "kubelet_runtime_operations_total", "kubelet_runtime_operations_duration_seconds_count",
        "kubelet_pleg_relist_duration_seconds_count", "kubelet_started_pods_total",
        "kubelet_started_containers_total", "kubelet_http_requests_total",
        "kubelet_certificate_manager_client_ttl_seconds", "rest_client_requests_total",
        "process_resident_memory_bytes", "kubernetes_build_info",
    } <= names  # fmt: skip
    assert 'kubelet_started_containers_total{container_type="container"}' in "\n".join(own)


def test_documents(node: WholeNode, busy: str) -> None:
    pods = json.loads(_raw(node, "/pods"))
    found = next(item for item in pods["items"] if item["metadata"]["name"] == busy)
    assert found["spec"]["containers"][0]["resources"]["limits"]["memory"] == "64Mi"
    assert found["status"]["phase"] == "Running"
    running = json.loads(_raw(node, "/runningpods/"))
    assert busy in {item["metadata"]["name"] for item in running["items"]}
    assert json.loads(_raw(node, "/configz"))["kubeletconfig"]["maxPods"] == 110
    assert _raw(node, "/healthz/syncloop") == "ok"
    assert "kubelet statusz" in _raw(node, "/statusz")
    local = node.enter("curl", "-s", "http://127.0.0.1:10248/healthz")
    assert subprocess.run(local, capture_output=True, check=True).stdout == b"ok"


def test_commands(node: WholeNode, busy: str) -> None:
    url = f"https://{NODE_IP}:10250/run/default/{busy}/main?cmd=echo%20here"
    pki = node.root / "pki"
    shown = ["--cert", f"{pki}/apiserver-kubelet-client.crt",
             "--key", f"{pki}/apiserver-kubelet-client.key"]  # fmt: skip
    ran = subprocess.run(
        node.enter("curl", "-sk", "-X", "POST", *shown, url), capture_output=True, check=True
    )
    assert ran.stdout == b"here\n"
    code, text = _curl(node, f"/checkpoint/default/{busy}/absent", "-X", "POST", *shown)
    assert (code, text) == (404, "container absent does not exist")
    code, text = _curl(node, f"/checkpoint/default/{busy}/main", "-X", "POST", *shown)
    assert code == 500
    assert text.startswith(f"checkpointing of default/{busy}/main failed (")


def test_strangers_are_told_so(node: WholeNode) -> None:
    assert _curl(node, "/pods") == (401, "Unauthorized")
    assert _curl(node, "/pods", "-H", "Authorization: Bearer x") == (401, "Unauthorized")
    pki = node.root / "pki"
    own = ["--cert", f"{pki}/proxy-node-1.crt", "--key", f"{pki}/proxy-node-1.key"]
    code, text = _curl(node, "/pods", *own)
    assert code == 403
    assert text == (
        "Forbidden (user=system:kube-proxy, verb=get, resource=nodes, "
        "subresource(s)=[pods proxy])\n"
    )


def test_an_account_may_what_its_role_says(node: WholeNode) -> None:
    node.kubectl("create", "serviceaccount", "scraper")
    node.kubectl("create", "clusterrole", "scraper", "--verb=get",
                 "--resource=nodes/metrics,nodes/pods")  # fmt: skip
    node.kubectl("create", "clusterrolebinding", "scraper", "--clusterrole=scraper",
                 "--serviceaccount=default:scraper")  # fmt: skip
    token = node.kubectl("create", "token", "scraper").stdout.strip()
    header = f"Authorization: Bearer {token}"
    assert _curl(node, "/metrics/resource", "-H", header)[0] == 200
    assert _curl(node, "/pods", "-H", header)[0] == 200
    assert _curl(node, "/stats/summary", "-H", header)[0] == 403
    assert _curl(node, "/exec/default/a/b?command=id&output=1", "-H", header)[0] == 403
