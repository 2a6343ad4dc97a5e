"""Where a proxied request leads, what it says of itself on the way back, and channels' forms."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.apiserver.rest import podlogs
from pilothouse.services.apiserver.rest.channels import FORMS, PORTS
from pilothouse.services.apiserver.rest.paths import own_part, proxied_tail
from pilothouse.services.apiserver.rest.proxying_pages import Page, Ways
from pilothouse.services.apiserver.rest.proxying_places import (
    Destination,
    Name,
    of_node,
    of_pod,
    of_service,
    split,
)
from pilothouse.services.machinery.errors import BadRequest, Invalid, ServiceUnavailable

PREFIX = "/api/v1/namespaces/n/pods/p/proxy"
WAYS = Ways(PREFIX, "10.244.0.5:80", "127.0.0.1:6443")


def pod(ip="10.244.0.5", *ports):
    containers = [{"ports": [{"containerPort": port} for port in ports]}]
    return {"spec": {"containers": containers}, "status": {"podIPs": [{"ip": ip}]}}


def test_names_have_up_to_three_parts():
    assert split("p", "pod") == Name("", "p", "")
    assert split("p:80", "pod") == Name("", "p", "80")
    assert split("https:p:", "pod") == Name("https", "p", "")
    for wrong in ("", "ftp:p:1", "a:b:c:d", ":80"):
        with pytest.raises(BadRequest, match="invalid pod request"):
            split(wrong, "pod")


def test_a_pod_is_asked_at_its_first_port():
    assert of_pod(Name("", "p", ""), pod("10.244.0.5", 8080, 9090)).authority == "10.244.0.5:8080"
    assert of_pod(Name("https", "p", "1"), pod()) == Destination("https", "10.244.0.5", 1)
    assert of_pod(Name("", "p", ""), pod("fd00::5")).authority == "[fd00::5]"


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "169.254.169.254", "::1", "fe80::1", "224.0.0.1", "0.0.0.0", "", "x"]
)
def test_no_way_leads_to_the_host_itself(address):
    with pytest.raises(BadRequest, match="address not allowed"):
        of_pod(Name("", "p", "80"), pod(address))


def service(port, *, ready=(("10.244.0.5", "a"),), known=("10.244.0.5",)):
    spec = {"spec": {"ports": [{"port": 80, "name": "web"}, {"port": 443, "name": "tls"}]}}
    addresses = [{"ip": ip, "targetRef": {"name": name}} for ip, name in ready]
    subset = {"addresses": addresses, "ports": [{"name": "web", "port": 8080}]}
    name = Name("", "s", port)
    return of_service(name, spec, {"subsets": [subset]}, lambda _: known, lambda _: 0)


def test_a_service_is_asked_at_a_ready_endpoint():
    assert service("web") == service("80") == Destination("http", "10.244.0.5", 8080)
    with pytest.raises(ServiceUnavailable, match='no service port 81 found for service "s"'):
        service("81")
    for port, more in (("tls", {}), ("", {}), ("web", {"ready": ()}), ("web", {"known": ()})):
        with pytest.raises(ServiceUnavailable, match='no endpoints available for service "s"'):
            service(port, **more)


def test_a_node_is_its_kubelet_or_another_port():
    assert of_node(Name("", "n", ""), "10.90.0.11", 10250).kubelet == "n"
    assert of_node(Name("http", "n", "10250"), "10.90.0.11", 10250).scheme == "https"
    assert of_node(Name("", "n", "9100"), "10.90.0.11", 10250) == Destination(
        "http", "10.90.0.11", 9100
    )


def test_what_follows_proxy_is_not_looked_into():
    path = f"{PREFIX}/a//b%2Fc/"
    assert (own_part(path), proxied_tail(path)) == (PREFIX, "/a//b%2Fc/")
    assert (own_part(PREFIX), proxied_tail(PREFIX)) == (PREFIX, "")
    other = "/api/v1/namespaces/n/pods/proxy/log"
    assert (own_part(other), proxied_tail(other)) == (other, "")


def test_addresses_lead_through_the_proxy():
    assert WAYS.rewritten("/x/?a=b#c") == f"{PREFIX}/x/?a=b#c"
    assert WAYS.rewritten("http://10.244.0.5:80/x") == f"{PREFIX}/x"
    for same in ("x", "http://example.com/x", f"{PREFIX}/x", "mailto:a@b", "#top"):
        assert WAYS.rewritten(same) == same


HTML = (
    '<html><a class="b" href="/x">x</a><img src=\'/i.png\'><form action=/go><p title="/no">'
    '<a data-x="a>b" href="rel">é</a>'
)
SHOWN = (
    f'<html><a class="b" href="{PREFIX}/x">x</a><img src=\'{PREFIX}/i.png\'>'
    f'<form action="{PREFIX}/go"><p title="/no"><a data-x="a>b" href="rel">é</a>'
)


@given(st.lists(st.integers(0, len(HTML.encode())), max_size=6))
def test_pages_are_rewritten_however_they_are_cut(cuts):
    content, page, said = HTML.encode(), Page(WAYS), b""
    places = [0, *sorted(cuts), len(content)]
    for start, end in itertools.pairwise(places):
        said += page.feed(content[start:end])
    # A quoted ">" may end a piece; then what is left of its tag passes as it is.
    assert (said + page.end()).decode() == SHOWN


def test_forms_of_channels():
    failure = b'\x03{"status":"Failure","message":"no"}'
    assert FORMS["v5.channel.k8s.io"].to_client(failure) == failure
    assert FORMS[""].to_client(failure) == b"\x03no"
    assert FORMS["channel.k8s.io"].to_client(b'\x03{"status":"Success"}') is None
    assert FORMS["base64.channel.k8s.io"].to_client(b"\x01hi") == b"1aGk="
    assert FORMS["v4.base64.channel.k8s.io"].to_kubelet(b"0aGk=") == b"\x00hi"
    assert PORTS[""].to_client(b"\x03\x90\x1f") == b"\x03\x90\x1f"
    for wrong in (b"0!", b"/aGk="):
        with pytest.raises(BadRequest):
            FORMS["base64.channel.k8s.io"].to_kubelet(wrong)


def test_options_of_logs():
    assert podlogs.parameters_of("p", {"follow": "true", "tailLines": "0", "previous": "x"}) == [
        ("follow", "true"), ("tailLines", "0"),
    ]  # fmt: skip
    for query in (
        {"tailLines": "-1"}, {"sinceSeconds": "0"}, {"limitBytes": "0"}, {"stream": "x"},
        {"sinceSeconds": "1", "sinceTime": "2030-01-01T00:00:00Z"},
        {"stream": "Stdout", "tailLines": "1"},
    ):  # fmt: skip
        with pytest.raises(Invalid):
            podlogs.parameters_of("p", query)
    for query in ({"tailLines": "x"}, {"sinceTime": "x"}):
        with pytest.raises(BadRequest):
            podlogs.parameters_of("p", query)
