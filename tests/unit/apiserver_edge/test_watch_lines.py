"""Events of a watch on the wire: JSON lines and frames of protobuf."""

import json
from types import SimpleNamespace

import pytest

from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.requests import Stored, WatchEvent
from pilothouse.services.apiserver.rest.negotiation import Accepted
from pilothouse.services.apiserver.rest.watching import Lines, Shared
from pilothouse.services.machinery.errors import Expired, NotAcceptable
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.protobuf import envelope

KIND = builtin_catalog().lookup("", "v1", "configmaps")
OBJECT = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "m"}, "data": {"a": "b"}}
CHANGED = WatchEvent("MODIFIED", Stored(Key("", "m"), 7, json.dumps(OBJECT).encode()))


def lines(encoding, shape=""):
    exchange = SimpleNamespace(accepted=lambda _, packs: Accepted(encoding, shape), query={})
    return Lines(exchange, KIND, lambda: 0.0, Shared())


def framed(frame):
    """The object in a frame whose length fits."""
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    return envelope.decode(frame[frame.index(envelope.MAGIC) :])


def test_json_lines():
    line = lines("json").line(CHANGED)
    assert line.endswith(b"}\n")
    assert json.loads(line) == {"type": "MODIFIED", "object": OBJECT}
    refusal = json.loads(lines("json").refusal(Expired("too old")))
    assert (refusal["type"], refusal["object"]["code"]) == ("ERROR", 410)


def test_protobuf_frames():
    packed = lines("protobuf")
    assert packed.content_type == "application/vnd.kubernetes.protobuf;stream=watch"
    assert packed.line(CHANGED)[4:].startswith(b"\x0a\x08MODIFIED\x12")
    assert framed(packed.line(CHANGED)) == OBJECT
    refusal = framed(packed.refusal(Expired("too old")))
    assert (refusal["kind"], refusal["reason"], refusal["code"]) == ("Status", "Expired", 410)
    mark = WatchEvent("BOOKMARK", Stored(Key("", ""), 9, b""), initial_end=True)
    assert framed(packed.line(mark))["metadata"]["resourceVersion"] == "9"
    partial = framed(lines("protobuf", "PartialObjectMetadata").line(CHANGED))
    assert (partial["kind"], partial["metadata"]) == ("PartialObjectMetadata", {"name": "m"})


def test_yaml_has_no_stream():
    with pytest.raises(NotAcceptable):
        lines("yaml")
