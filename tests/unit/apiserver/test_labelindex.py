"""The label index answers as a scan would, whatever comes, changes and goes."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.apiserver.cache.items import Item
from pilothouse.services.apiserver.cache.labelindex import KEYS_MAX, LabelIndex
from pilothouse.services.apiserver.requests import Stored
from pilothouse.services.machinery.labels import parse
from pilothouse.services.machinery.objects import Key

LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"))
CHANGES = st.lists(st.tuples(st.sampled_from("pqrst"), st.none() | LABELS))
SELECTORS = st.sampled_from(["a=x", "a in (x,y)", "b=z,c", "c!=x,a=y", "a=x,b=y", "!a", "c"])


def item(name: str, labels: dict[str, str]) -> Item:
    json = msgspec.json.encode({"metadata": {"name": name, "labels": labels}})
    return Item(Stored(Key("", name), 1, json), lambda _: {})


@given(CHANGES, CHANGES, SELECTORS)
def test_answers_as_a_scan_does(before, after, selector):
    index, live = LabelIndex(), {}
    requirements = parse(selector).requirements

    def change(name, labels):
        key = Key("", name)
        new = None if labels is None else item(name, labels)
        old = live.pop(key, None)
        index.replace(key, old, new)
        if new is not None:
            live[key] = new

    def found():
        candidates = index.candidates(requirements, live.values())
        chosen = live.values() if candidates is None else candidates
        return sorted(one.key for one in chosen if parse(selector).matches(one.labels))

    for name, labels in before:
        change(name, labels)
    found()
    for name, labels in after:
        change(name, labels)
    assert found() == sorted(
        key for key, one in live.items() if parse(selector).matches(one.labels)
    )


def test_keeps_the_keys_asked_for_last():
    index = LabelIndex()
    live = [item("p", {f"k{number}": "v" for number in range(KEYS_MAX + 2)})]
    for number in range(KEYS_MAX + 2):
        assert index.candidates(parse(f"k{number}=v").requirements, live) == live
    assert index.candidates(parse("k0=v").requirements, []) == []
    assert index.candidates(parse(f"k{KEYS_MAX}=v").requirements, []) == live
