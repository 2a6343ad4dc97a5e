"""Services: what they are, whom they lead to, and that traffic gets there."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kit.cluster import Cluster
from kit.manifests import sleeper
from kit.namespaces import furnished
from kit.official import Official
from kit.syllabus import line

SERVICE, SLICES = "network/service.go", "network/endpointslice.go"
ENDPOINTS, SERVER = "network/endpoints.go", "network/apiserver.go"
NETWORKING, HOST_PORT = "common/network/networking.go", "network/hostport.go"
NAMESPACE = "conformance-services"
ASKED = 12
"""With two equal answers behind a Service, one of them stays away that often 1 time in 2,000."""
_NUMBERS = itertools.count(1)

Make = Callable[..., Any]


def web(name: str, **metadata: Any) -> dict[str, Any]:
    """A pod that answers with its name."""
    port = {"name": "http", "containerPort": 80}
    return {
        "metadata": {"name": name, "labels": {"app": "web"}, **metadata},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": "nginx", "ports": [port]}],
        },
    }


@pytest.fixture(scope="module")
def two(cluster: Cluster, client: Official) -> Iterator[list[str]]:
    """The names of two pods that answer, a node each."""
    with furnished(cluster, client, NAMESPACE):
        for node in (1, 2):
            pod = web(f"web-{node}")
            pod["spec"]["nodeName"] = f"node-{node}"
            client.core.create_namespaced_pod(NAMESPACE, pod)
        wait = ("wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s")
        cluster.kubectl("-n", NAMESPACE, *wait)
        yield ["web-1", "web-2"]


@pytest.fixture
def make(client: Official, two: list[str]) -> Iterator[Make]:
    """Make a Service for the two; deleted afterwards."""
    names: list[str] = []

    def create(**spec: Any) -> Any:
        names.append(f"service-{next(_NUMBERS)}")
        ports = {"ports": [{"name": "http", "port": 80, "targetPort": 80}]}
        body = {"metadata": {"name": names[-1]},
                "spec": {"selector": {"app": "web"}, **ports, **spec}}  # fmt: skip
        return client.core.create_namespaced_service(NAMESPACE, body)

    yield create
    for name in names:
        client.core.delete_namespaced_service(name, NAMESPACE)


@pytest.fixture
def change(client: Official) -> Make:
    """Merge into a Service's spec."""

    def patch(service: Any, **spec: Any) -> Any:
        path = f"/api/v1/namespaces/{NAMESPACE}/services/{service.metadata.name}"
        merge = {"Content-Type": "application/merge-patch+json"}
        answer = client.raw("PATCH", path, {"spec": spec}, headers=merge)
        assert answer.code == 200, answer.body
        return client.core.read_namespaced_service(service.metadata.name, NAMESPACE)

    return patch


def reaches(cluster: Cluster, address: str, names: list[str], node: int = 1) -> None:
    """Eventually all of them answer there, and nobody else does."""

    def answered() -> bool:
        try:
            return set(cluster.ask(f"http://{address}", ASKED, node=node)) == set(names)
        except AssertionError:
            return False

    cluster.eventually(f"{address} leads to {names}", answered)


def is_refused(cluster: Cluster, address: str) -> bool:
    asked = cluster.on_node(1, "curl", "-s", "--max-time", "1", f"http://{address}/hostname")
    return asked.returncode != 0


def node_port(service: Any) -> int:
    return int(service.spec.ports[0].node_port)


def addresses(client: Official, service: str) -> set[tuple[str, int]]:
    """Ready addresses and ports of the Service's slices."""
    found = client.group("DiscoveryV1Api").list_namespaced_endpoint_slice(
        NAMESPACE, label_selector=f"kubernetes.io/service-name={service}"
    )
    return {
        (address, port.port)
        for one in found.items
        for endpoint in one.endpoints or []
        if endpoint.conditions.ready
        for address in endpoint.addresses
        for port in one.ports or []
    }


@line(SERVICE, "find service in all namespaces")
@line(SERVER, "secure master service")
def test_the_api_servers_own_is_listed(client: Official) -> None:
    everywhere = client.core.list_service_for_all_namespaces().items
    own = [one for one in everywhere
           if (one.metadata.namespace, one.metadata.name) == ("default", "kubernetes")]  # fmt: skip
    assert [port.port for port in own[0].spec.ports] == [443]


@line(SERVER, "Endpoints/EndpointSlices point to API server")
def test_its_endpoints_are_the_servers(client: Official) -> None:
    endpoints = client.core.read_namespaced_endpoints("kubernetes", "default")
    one = client.group("DiscoveryV1Api").read_namespaced_endpoint_slice("kubernetes", "default")
    assert one.metadata.labels["kubernetes.io/service-name"] == "kubernetes"
    legacy = {address.ip for subset in endpoints.subsets for address in subset.addresses}
    assert legacy == {address for each in one.endpoints for address in each.addresses} != set()
    assert [port.port for port in one.ports] == [port.port for port in endpoints.subsets[0].ports]


@line(SERVICE, "functioning NodePort service")
def test_a_node_port_leads_there_from_everywhere(
    cluster: Cluster, two: list[str], make: Make
) -> None:
    service = make(type="NodePort")
    reaches(cluster, service.spec.cluster_ip, two)
    for node in (1, 2):
        reaches(cluster, f"10.90.0.{10 + node}:{node_port(service)}", two, node=3 - node)


@line(SERVICE, "ExternalName -> ClusterIP")
def test_a_name_becomes_an_address(
    cluster: Cluster, two: list[str], make: Make, change: Make
) -> None:
    service = make(type="ExternalName", externalName="example.org")
    assert service.spec.cluster_ip is None
    changed = change(service, type="ClusterIP", externalName=None)
    reaches(cluster, changed.spec.cluster_ip, two)


@line(SERVICE, "ClusterIP -> ExternalName")
def test_an_address_becomes_a_name(
    cluster: Cluster, two: list[str], make: Make, change: Make
) -> None:
    service = make()
    reaches(cluster, service.spec.cluster_ip, two)
    changed = change(service, type="ExternalName", externalName="example.org")
    assert changed.spec.cluster_ip is None
    cluster.eventually("it leads nowhere", lambda: is_refused(cluster, service.spec.cluster_ip))


@line(SERVICE, "ExternalName -> NodePort")
def test_a_name_becomes_a_node_port(
    cluster: Cluster, two: list[str], make: Make, change: Make
) -> None:
    service = make(type="ExternalName", externalName="example.org")
    changed = change(service, type="NodePort", externalName=None)
    reaches(cluster, f"10.90.0.11:{node_port(changed)}", two)


@line(SERVICE, "NodePort -> ExternalName")
def test_a_node_port_becomes_a_name(
    cluster: Cluster, two: list[str], make: Make, change: Make
) -> None:
    service = make(type="NodePort")
    reaches(cluster, f"10.90.0.11:{node_port(service)}", two)
    changed = change(service, type="ExternalName", externalName="example.org")
    assert not any(port.node_port for port in changed.spec.ports or [])
    address = f"10.90.0.11:{node_port(service)}"
    cluster.eventually("it leads nowhere", lambda: is_refused(cluster, address))


def _sticks(cluster: Cluster, address: str) -> bool:
    return len(cluster.ask(f"http://{address}", ASKED)) == 1


@line(SERVICE, "affinity ClientIP, ClusterIP")
@line(SERVICE, "switch affinity, ClusterIP")
def test_a_client_stays_with_who_answered_it(
    cluster: Cluster, two: list[str], make: Make, change: Make
) -> None:
    service = make(sessionAffinity="ClientIP")
    address = service.spec.cluster_ip
    cluster.eventually("it answers", lambda: not is_refused(cluster, address))
    cluster.eventually("it sticks", lambda: _sticks(cluster, address))
    change(service, sessionAffinity="None", sessionAffinityConfig=None)
    reaches(cluster, address, two)
    change(service, sessionAffinity="ClientIP")
    cluster.eventually("it sticks again", lambda: _sticks(cluster, address))


@line(SERVICE, "affinity ClientIP, NodePort")
@line(SERVICE, "switch affinity, NodePort")
def test_a_client_of_a_node_port_stays_too(
    cluster: Cluster, two: list[str], make: Make, change: Make
) -> None:
    service = make(type="NodePort", sessionAffinity="ClientIP")
    address = f"10.90.0.11:{node_port(service)}"
    cluster.eventually("it answers", lambda: not is_refused(cluster, address))
    cluster.eventually("it sticks", lambda: _sticks(cluster, address))
    change(service, sessionAffinity="None", sessionAffinityConfig=None)
    reaches(cluster, address, two)


@line(SERVICE, "serve a basic endpoint")
@line(SLICES, "create for matching pods")
@line(ENDPOINTS, "Endpoints for matching pods")
def test_endpoints_follow_their_pods(cluster: Cluster, client: Official, make: Make) -> None:
    service = make(selector={"app": "follow"})
    name, address = service.metadata.name, service.spec.cluster_ip
    for number in (1, 2):
        pod = web(f"follow-{number}", labels={"app": "follow"})
        client.core.create_namespaced_pod(NAMESPACE, pod)
    reaches(cluster, address, ["follow-1", "follow-2"])
    assert len(addresses(client, name)) == 2
    subset = client.core.read_namespaced_endpoints(name, NAMESPACE).subsets[0]
    assert {one.target_ref.name for one in subset.addresses} == {"follow-1", "follow-2"}
    client.core.delete_namespaced_pod("follow-1", NAMESPACE)
    reaches(cluster, address, ["follow-2"])
    client.core.delete_namespaced_pod("follow-2", NAMESPACE)
    cluster.eventually("nobody is left", lambda: addresses(client, name) == set())
    assert is_refused(cluster, address)


@line(SLICES, "empty service")
@line(ENDPOINTS, "empty Endpoints")
def test_a_service_without_pods_has_empty_endpoints(
    cluster: Cluster, client: Official, make: Make
) -> None:
    name = make(selector={"app": "nobody"}).metadata.name
    label = f"kubernetes.io/service-name={name}"

    def kept() -> Any:
        return cluster.get("-n", NAMESPACE, "endpointslices", "-l", label)["items"]

    found = cluster.eventually("it has a slice", kept)
    assert not found[0]["endpoints"]
    cluster.eventually("it has Endpoints",
                       lambda: cluster.try_get("-n", NAMESPACE, "endpoints", name))  # fmt: skip
    client.core.delete_namespaced_service(name, NAMESPACE)
    cluster.eventually("both go with it", lambda: not kept()
                       and cluster.try_get("-n", NAMESPACE, "endpoints", name) is None)  # fmt: skip
    again = {"metadata": {"name": name}, "spec": {"ports": [{"port": 1}]}}
    client.core.create_namespaced_service(NAMESPACE, again)


@line(SERVICE, "multiport endpoints")
def test_each_port_has_its_own_endpoints(cluster: Cluster, client: Official, make: Make) -> None:
    ports = [{"name": name, "port": port, "targetPort": name}
             for name, port in (("one", 81), ("other", 82))]  # fmt: skip
    service = make(selector={"app": "multi"}, ports=ports)
    for name in ("one", "other"):
        pod = web(f"multi-{name}", labels={"app": "multi"})
        pod["spec"]["containers"][0]["ports"] = [{"name": name, "containerPort": 80}]
        client.core.create_namespaced_pod(NAMESPACE, pod)
    reaches(cluster, f"{service.spec.cluster_ip}:81", ["multi-one"])
    reaches(cluster, f"{service.spec.cluster_ip}:82", ["multi-other"])
    for name in ("one", "other"):
        client.core.delete_namespaced_pod(f"multi-{name}", NAMESPACE)


def _slice(client: Official, service: Any, kept: str, addresses: list[str], /, **port: Any) -> None:
    labels = {"kubernetes.io/service-name": service.metadata.name,
              "endpointslice.kubernetes.io/managed-by": "conformance"}  # fmt: skip
    body = {
        "metadata": {"name": f"{service.metadata.name}-{kept}", "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [one], "conditions": {"ready": True}} for one in addresses],
        "ports": [{"protocol": "TCP", **port}],
    }
    client.group("DiscoveryV1Api").create_namespaced_endpoint_slice(NAMESPACE, body)


def _pod_ips(client: Official) -> list[str]:
    pods = client.core.list_namespaced_pod(NAMESPACE, label_selector="app=web").items
    return [pod.status.pod_ip for pod in sorted(pods, key=lambda pod: pod.metadata.name)]


@line(SLICES, "several IPs in several slices")
def test_slices_of_several_addresses_add_up(
    cluster: Cluster, client: Official, two: list[str], make: Make
) -> None:
    service = make(selector=None)
    for number, address in enumerate(_pod_ips(client)):
        _slice(client, service, str(number), [address], name="http", port=80)
    reaches(cluster, service.spec.cluster_ip, two)


@line(SLICES, "several ports in several slices")
def test_slices_of_several_ports_add_up(
    cluster: Cluster, client: Official, two: list[str], make: Make
) -> None:
    ports = [{"name": name, "port": port} for name, port in (("one", 81), ("other", 82))]
    service = make(selector=None, ports=ports)
    first, _ = _pod_ips(client)
    for name in ("one", "other"):
        _slice(client, service, name, [first], name=name, port=80)
    for port in (81, 82):
        reaches(cluster, f"{service.spec.cluster_ip}:{port}", two[:1])


@line(NETWORKING, "pod-to-pod http")
@line(NETWORKING, "node-to-pod http")
def test_pods_are_reached_from_pods_and_nodes(
    cluster: Cluster, client: Official, two: list[str]
) -> None:
    client.core.create_namespaced_pod(NAMESPACE, sleeper("asks"))
    client.core.create_namespaced_pod(NAMESPACE, sleeper("asks-from-node", hostNetwork=True))
    for name in ("asks", "asks-from-node"):
        cluster.kubectl("-n", NAMESPACE, "wait", f"pod/{name}", "--for=condition=Ready",
                        "--timeout=60s")  # fmt: skip
        for address, answers in zip(_pod_ips(client), two, strict=True):
            asked = ("wget", "-q", "-O-", f"http://{address}/hostname")
            said = cluster.kubectl("-n", NAMESPACE, "exec", name, "--", *asked)
            assert said.strip() == answers


@line(HOST_PORT, "hostPort with different hostIP/protocol")
def test_host_ports_differ_by_address_and_protocol(
    cluster: Cluster, client: Official, two: list[str]
) -> None:
    rows = (("127.0.0.1", "TCP"), ("10.90.0.11", "TCP"), ("10.90.0.11", "UDP"))
    for number, (address, protocol) in enumerate(rows):
        pod = web(f"host-port-{number}", labels={"app": "host-port"})
        pod["spec"]["nodeName"] = "node-1"
        pod["spec"]["containers"][0]["ports"] = [
            {"containerPort": 80, "hostPort": 54323, "hostIP": address, "protocol": protocol}
        ]
        client.core.create_namespaced_pod(NAMESPACE, pod)
    reaches(cluster, "127.0.0.1:54323", ["host-port-0"])
    reaches(cluster, "10.90.0.11:54323", ["host-port-1"])
    cluster.kubectl("-n", NAMESPACE, "wait", "pod/host-port-2", "--for=condition=Ready",
                    "--timeout=60s")  # fmt: skip


@line("network/service_latency.go", "endpoint latency")
def test_endpoints_of_many_services_come_soon(
    cluster: Cluster, client: Official, make: Make
) -> None:
    names = [make().metadata.name for _ in range(40)]
    cluster.eventually(
        "all have their two endpoints",
        lambda: all(len(addresses(client, name)) == 2 for name in names),
        seconds=20,
    )
