"""What the nodes say of themselves and their pods, through the API server."""

import json

import pytest
from kit.cluster import Cluster

NODES = ("node-1", "node-2")
ACCOUNT = "system:serviceaccount:kube-system:reader"


def raw(cluster: Cluster, node: str, path: str, *flags: str) -> str:
    return cluster.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy{path}", *flags)


def test_every_pod_of_the_example_is_measured_where_it_runs(example: Cluster) -> None:
    pods = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in example.pods("app=nginx")}
    for node in NODES:
        told = json.loads(raw(example, node, "/stats/summary"))
        found = {item["podRef"]["name"]: item for item in told["pods"]}
        for name in (name for name, where in pods.items() if where == node):
            assert found[name]["memory"]["workingSetBytes"] > 0
            assert found[name]["network"]["interfaces"]
        lines = raw(example, node, "/metrics/resource").splitlines()
        for name in found:
            labels = f'namespace="{found[name]["podRef"]["namespace"]}",pod="{name}"'
            assert any(line.startswith(f"pod_cpu_usage_seconds_total{{{labels}}}")
                       for line in lines), name  # fmt: skip


@pytest.mark.parametrize("node", NODES)
def test_a_node_tells_what_it_is_told(cluster: Cluster, node: str) -> None:
    assert raw(cluster, node, "/healthz") == "ok"
    assert raw(cluster, f"{node}:10250", "/healthz/syncloop") == "ok"
    configz = json.loads(raw(cluster, node, "/configz"))["kubeletconfig"]
    assert configz["authentication"]["anonymous"]["enabled"] is False
    assert configz["readOnlyPort"] == 0
    assert f'kubelet_node_name{{node="{node}"}} 1' in raw(cluster, node, "/metrics").splitlines()
    listed = {item["metadata"]["uid"] for item in json.loads(raw(cluster, node, "/pods"))["items"]}
    bound = cluster.get("pods", "-A", f"--field-selector=spec.nodeName={node}")["items"]
    assert {item["metadata"]["uid"] for item in bound} <= listed


def test_a_reader_of_metrics_reads_nothing_else(cluster: Cluster) -> None:
    cluster.kubectl("create", "clusterrole", "reader", "--verb=get", "--resource=nodes/metrics")
    cluster.kubectl("create", "clusterrolebinding", "reader", "--clusterrole=reader",
                    "--serviceaccount=kube-system:reader")  # fmt: skip
    can = ("auth", "can-i", "get", "nodes/node-1", f"--as={ACCOUNT}")
    assert cluster.try_kubectl(*can, "--subresource=metrics").stdout.strip() == "yes"
    assert cluster.try_kubectl(*can, "--subresource=proxy").stdout.strip() == "no"
    done = cluster.try_kubectl("get", "--raw", "/api/v1/nodes/node-1/proxy/metrics",
                               f"--as={ACCOUNT}")  # fmt: skip
    assert "Forbidden" in done.stderr
    cluster.kubectl("delete", "clusterrolebinding,clusterrole", "reader")
