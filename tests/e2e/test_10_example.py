"""The seeds' example: two nginx behind one Service, reached by its address and by its port."""

from pathlib import Path

from kit.cluster import EXAMPLE, NODES, Cluster

SEED = Path(__file__).with_name("seed-nginx-deployment.yaml")
REQUESTS = 200
SHARE_MIN = 0.35


def test_the_seeds_own_malformed_text_is_refused_by_line(cluster: Cluster) -> None:
    refused = cluster.try_kubectl("create", "-f", str(SEED))
    assert refused.returncode != 0
    assert "line" in refused.stderr
    assert cluster.get("services", "--field-selector", "metadata.name=ngx-service")["items"] == []


def test_create_gives_two_of_two(cluster: Cluster) -> None:
    said = cluster.kubectl("create", "-f", str(EXAMPLE))
    assert "deployment.apps/ngx-deployment created" in said
    assert "service/ngx-service created" in said
    cluster.eventually("2/2", lambda: cluster.deployment_is("ngx-deployment", 2), seconds=30)
    line = cluster.kubectl("get", "deployment", "ngx-deployment").splitlines()
    assert line[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert line[1].split()[:4] == ["ngx-deployment", "2/2", "2", "2"]


def shares_are_even(answers: dict[str, int], pods: set[str]) -> None:
    assert set(answers) == pods
    assert min(answers.values()) >= SHARE_MIN * sum(answers.values()), answers


def names(cluster: Cluster) -> set[str]:
    return {pod["metadata"]["name"] for pod in cluster.pods("app=nginx")}


def test_the_cluster_address_spreads_evenly_from_every_node(example: Cluster) -> None:
    address = example.get("service", "ngx-service")["spec"]["clusterIP"]
    example.eventually(
        "both endpoints are in the rules", lambda: len(example.ask(f"http://{address}", 20)) == 2
    )
    for node in range(1, NODES + 1):
        answers = example.ask(f"http://{address}", REQUESTS, node=node)
        shares_are_even(answers, names(example))


def test_the_node_port_spreads_evenly_on_the_hosts_loopback(example: Cluster) -> None:
    port = example.get("service", "ngx-service")["spec"]["ports"][0]["nodePort"]
    url = f"http://{example.publish_address}:{port}"
    shares_are_even(example.ask(url, REQUESTS, node=None), names(example))


def test_the_node_port_answers_on_every_nodes_address(example: Cluster) -> None:
    port = example.get("service", "ngx-service")["spec"]["ports"][0]["nodePort"]
    nodes = example.get("nodes")["items"]
    for node in nodes:
        address = next(a for a in node["status"]["addresses"] if a["type"] == "InternalIP")
        url = f"http://{address['address']}:{port}"
        shares_are_even(example.ask(url, REQUESTS, node=1), names(example))


def test_pods_on_both_nodes_reach_each_other_and_the_service(example: Cluster) -> None:
    pods = example.pods("app=nginx")
    assert len({pod["spec"]["nodeName"] for pod in pods}) == NODES
    address = example.get("service", "ngx-service")["spec"]["clusterIP"]
    for pod in pods:
        name = pod["metadata"]["name"]
        for other in pods:
            url = f"http://{other['status']['podIP']}/hostname"
            answer = example.kubectl("exec", name, "--", "wget", "-q", "-O", "-", url)
            assert answer.strip() == other["metadata"]["name"]
        for _ in range(4):
            url = f"http://{address}/hostname"
            answer = example.kubectl("exec", name, "--", "wget", "-q", "-O", "-", url)
            assert answer.strip() in names(example)
