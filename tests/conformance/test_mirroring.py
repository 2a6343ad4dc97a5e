"""Endpoints written by hand are mirrored in EndpointSlices, and traffic follows."""

from typing import Any

from kit.cluster import Cluster
from kit.official import Official
from kit.syllabus import line
from kit.workloads import SERVER


@line("network/endpointslicemirroring.go", "mirror custom Endpoints")
def test_written_changed_and_deleted(cluster: Cluster, client: Official, namespace: str) -> None:
    service = {"metadata": {"name": "db"}, "spec": {"ports": [{"name": "http", "port": 80}]}}
    made = client.core.create_namespaced_service(namespace, service)
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    selector = "labelSelector=kubernetes.io%2Fservice-name%3Ddb"

    def mirrored() -> list[tuple[list[str], list[int]]]:
        items: list[dict[str, Any]] = client.raw("GET", f"{path}?{selector}").json["items"]
        return [
            (
                [address for one in item["endpoints"] or () for address in one["addresses"]],
                [port["port"] for port in item["ports"]],
            )
            for item in items
        ]

    assert mirrored() == []
    pod = {"metadata": {"name": "server"}, "spec": {"containers": [SERVER]}}
    client.core.create_namespaced_pod(namespace, pod)
    body: dict[str, Any] = {
        "metadata": {"name": "db"},
        "subsets": [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"name": "http", "port": 80}]}],
    }
    client.core.create_namespaced_endpoints(namespace, body)
    cluster.eventually("it is mirrored", lambda: mirrored() == [(["10.1.2.3"], [80])])
    (found,) = client.raw("GET", f"{path}?{selector}").json["items"]
    assert found["metadata"]["ownerReferences"][0]["kind"] == "Endpoints"
    managed = found["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
    assert managed == "endpointslicemirroring-controller.k8s.io"

    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/server", "--timeout=60s")
    ip = client.core.read_namespaced_pod("server", namespace).status.pod_ip
    body["subsets"][0]["addresses"] = [{"ip": ip}]
    client.core.replace_namespaced_endpoints("db", namespace, body)
    cluster.eventually("the change too", lambda: mirrored() == [([ip], [80])])
    address = made.spec.cluster_ip
    cluster.eventually(
        "traffic arrives",
        lambda: (
            cluster.on_node(1, "curl", "-sf", "-m2", f"{address}/hostname").stdout.strip()
            == "server"
        ),
    )
    client.core.delete_namespaced_endpoints("db", namespace)
    cluster.eventually("nothing is left", lambda: mirrored() == [])
