"""The words of CNI: what is read, what is refused, what a plugin is told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.cni import protocol
from pilothouse.cni.protocol import Attachment, CniError, parse_network


def test_a_single_plugin_is_a_list_of_one():
    network = parse_network('{"cniVersion": "0.4.0", "name": "n", "type": "bridge", "x": 1}')
    assert (network.cni_version, network.name) == ("0.4.0", "n")
    assert network.plugins[0]["x"] == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", protocol.DECODING_FAILURE),
        ('{"name": "n", "plugins": "no"}', protocol.DECODING_FAILURE),
        ('{"name": "../n", "plugins": [{"type": "b"}]}', protocol.INVALID_NETWORK_CONFIG),
        ('{"name": "n", "plugins": []}', protocol.INVALID_NETWORK_CONFIG),
        ('{"name": "n", "plugins": [{"type": "../b"}]}', protocol.INVALID_NETWORK_CONFIG),
        ('{"name": "n", "cniVersion": "9", "plugins": [{"type": "b"}]}',
         protocol.INCOMPATIBLE_VERSION),
    ],
)  # fmt: skip
def test_refusals(text, code):
    with pytest.raises(CniError) as caught:
        parse_network(text)
    assert caught.value.code == code


def test_only_declared_capabilities_are_offered():
    network = parse_network(
        '{"name": "n", "plugins": [{"type": "a", "capabilities": {"ports": true}}, {"type": "b"}]}'
    )
    attachment = Attachment(container_id="c", netns="/n", capabilities={"ports": [1], "mac": "x"})
    first, second = (
        json.loads(protocol.plugin_input(network, plugin, attachment, {"ips": []}))
        for plugin in network.plugins
    )
    assert first == {
        "type": "a", "name": "n", "cniVersion": "1.0.0", "prevResult": {"ips": []},
        "runtimeConfig": {"ports": [1]},
    }  # fmt: skip
    assert "runtimeConfig" not in second


@given(st.text(max_size=20))
def test_names_are_names(text):
    for parts in ({"container_id": text}, {"container_id": "c", "interface": text}):
        try:
            protocol.validate_attachment(Attachment(netns="/n", **parts))
        except CniError:
            continue
        assert "/" not in text
        assert text not in {"", ".", ".."}
