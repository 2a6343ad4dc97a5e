"""What a Service means on a node, as values."""

import msgspec
import pytest

from pilothouse.services.machinery.kinds.services import EndpointSlice, Service
from pilothouse.services.proxy.rules import Backend, service_rules

SERVICE = {
    "metadata": {"namespace": "default", "name": "web"},
    "spec": {
        "type": "NodePort",
        "clusterIP": "10.96.0.7",
        "ports": [{"name": "http", "port": 80, "nodePort": 30080, "targetPort": "web"}],
    },
}


def a_service(**spec: object) -> Service:
    return msgspec.convert(SERVICE | {"spec": SERVICE["spec"] | spec}, Service)


def endpoint(address: str, node: str = "a", **conditions: bool | None) -> dict[str, object]:
    return {"addresses": [address], "nodeName": node, "conditions": conditions}


def slices(
    *endpoints: dict[str, object], port: object = 8080, **more: object
) -> list[EndpointSlice]:
    body = {
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }
    return [msgspec.convert(body | more, EndpointSlice)]


def addresses(found: list[EndpointSlice], node: str = "a") -> tuple[list[str], list[str]]:
    (rule,) = service_rules(a_service(), found, node)
    return [b.address for b in rule.endpoints], [b.address for b in rule.local]


def test_a_node_port_service_with_two_endpoints():
    found = slices(endpoint("10.244.2.9", "b", ready=True), endpoint("10.244.1.5"))
    (rule,) = service_rules(a_service(), found, "a")
    assert rule.protocol == "tcp"
    assert (rule.cluster_ip, rule.port, rule.node_port) == ("10.96.0.7", 80, 30080)
    assert rule.endpoints == (Backend("10.244.1.5", 8080), Backend("10.244.2.9", 8080))
    assert rule.local == (Backend("10.244.1.5", 8080),)
    assert rule.affinity_seconds == 0


@pytest.mark.parametrize(
    "spec",
    [
        {"clusterIP": "None"},
        {"clusterIP": ""},
        {"type": "ExternalName"},
        {"clusterIP": "fd00::1"},
        {"clusterIP": "1.2.3.4; flush ruleset"},
    ],
)
def test_what_has_no_address_has_no_rules(spec):
    assert service_rules(a_service(**spec), slices(endpoint("10.244.1.5")), "a") == ()


def test_a_name_that_is_no_label_stays_out_of_the_table():
    odd = SERVICE | {"metadata": {"namespace": "default", "name": "x } drop"}}
    assert service_rules(msgspec.convert(odd, Service), [], "a") == ()


def test_a_service_that_is_gone_has_no_rules():
    assert service_rules(None, slices(endpoint("10.244.1.5")), "a") == ()


def test_endpoints_that_are_not_ready_are_left_out():
    found = slices(endpoint("10.244.1.5", ready=True), endpoint("10.244.1.6", ready=False))
    assert addresses(found) == (["10.244.1.5"], ["10.244.1.5"])


def test_terminating_endpoints_serve_only_while_no_other_does():
    leaving = endpoint("10.244.1.6", ready=False, serving=True, terminating=True)
    dead = endpoint("10.244.1.7", ready=False, serving=False, terminating=True)
    assert addresses(slices(leaving, dead))[0] == ["10.244.1.6"]
    assert addresses(slices(leaving, dead, endpoint("10.244.1.5")))[0] == ["10.244.1.5"]
    # Each node judges its own for the Local policies.
    assert addresses(slices(leaving, endpoint("10.244.2.5", "b"))) == (
        ["10.244.2.5"],
        ["10.244.1.6"],
    )


def test_ports_match_by_name_and_protocol():
    assert addresses(slices(endpoint("10.244.1.5"), ports=[{"name": "other", "port": 1}]))[0] == []
    udp = [{"name": "http", "port": 1, "protocol": "UDP"}]
    assert addresses(slices(endpoint("10.244.1.5"), ports=udp))[0] == []


def test_an_endpoint_in_two_slices_counts_once():
    assert addresses(slices(endpoint("10.244.1.5")) * 2)[0] == ["10.244.1.5"]


def test_slices_of_other_families_and_empty_ones_are_passed_over():
    assert addresses(slices(endpoint("fd00::5"), addressType="IPv6"))[0] == []
    assert addresses(slices(endpoints=None, ports=None))[0] == []
    assert addresses(slices(endpoint("not-an-address")))[0] == []


def test_policies_and_affinity():
    spec = {
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
        "externalTrafficPolicy": "Local",
        "internalTrafficPolicy": "Local",
        "externalIPs": ["192.0.2.9", "192.0.2.8", "bad"],
    }
    (rule,) = service_rules(a_service(**spec), [], "a")
    assert rule.affinity_seconds == 60
    assert rule.external_local
    assert rule.internal_local
    assert rule.external_ips == ("192.0.2.8", "192.0.2.9")
    (rule,) = service_rules(a_service(sessionAffinity="ClientIP"), [], "a")
    assert rule.affinity_seconds == 10800


def test_a_node_port_that_another_type_kept_is_not_served():
    (rule,) = service_rules(a_service(type="ClusterIP"), [], "a")
    assert rule.node_port == 0
