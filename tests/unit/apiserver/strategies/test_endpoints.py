"""Endpoints are kept as few subsets as tell the same."""

from pilothouse.services.apiserver.strategies.network.endpoints import ENDPOINTS


def stored(*subsets):
    body = {"metadata": {"name": "db"}, "subsets": list(subsets)}
    ENDPOINTS.default(body)
    assert not ENDPOINTS.check(body)
    return body["subsets"]


def port(number, name):
    return {"port": number, "name": name, "protocol": "TCP"}


def test_ports_of_the_same_addresses_are_in_one_subset():
    one = {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80, "name": "a"}]}
    two = {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 90, "name": "b"}]}
    whole = [{"addresses": [{"ip": "10.0.0.1"}], "ports": [port(80, "a"), port(90, "b")]}]
    assert stored(one, two) == whole
    assert stored(*whole) == whole
    apart = stored(one, {**two, "addresses": [{"ip": "10.0.0.2"}]})
    assert [item["ports"] for item in apart] == [[port(80, "a")], [port(90, "b")]]


def test_addresses_are_told_once_and_in_their_order():
    ref = {"kind": "Pod", "name": "p", "uid": "u"}
    [subset] = stored(
        {
            "addresses": [{"ip": "10.0.0.3"}, {"ip": "10.0.0.1"}, {"ip": "10.0.0.3"}],
            "notReadyAddresses": [{"ip": "10.0.0.2", "hostname": "h", "targetRef": ref}],
        }
    )
    assert subset == {
        "addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.3"}],
        "notReadyAddresses": [{"ip": "10.0.0.2", "hostname": "h", "targetRef": ref}],
    }
    [both] = stored({"addresses": [{"ip": "10.0.0.1"}], "notReadyAddresses": [{"ip": "10.0.0.1"}]})
    assert both == {"notReadyAddresses": [{"ip": "10.0.0.1"}]}


def test_what_is_wrong_is_told_where_it_was_written():
    body = {"subsets": [{"addresses": [{"ip": "10.0.0.9"}, {"ip": "nowhere"}]}]}
    ENDPOINTS.default(body)
    assert [cause.field for cause in ENDPOINTS.check(body)] == ["subsets[0].addresses[1].ip"]
