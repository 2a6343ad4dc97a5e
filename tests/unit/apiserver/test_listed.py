"""What is gathered once for many readers is what each would have gathered for itself."""

import uuid

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.apiserver.cache.kindcache import SELECTIONS_MAX, KindCache
from pilothouse.services.apiserver.cache.selection import Selection
from pilothouse.services.apiserver.chain.impersonation import impersonates
from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.objects.parts import Entropy
from pilothouse.services.apiserver.rest.replies import Pieces
from pilothouse.services.machinery.labels import parse
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.storage import Entry

PLACES = st.tuples(st.sampled_from(["a", "b", "a-b"]), st.sampled_from("xyz"))
CHANGES = st.lists(st.tuples(PLACES, st.none() | st.sampled_from(["red", "blue"])))


def config_maps() -> KindCache:
    return KindCache(builtin_catalog().lookup("", "v1", "configmaps"), lambda _: {})


def put(objects: KindCache, key: Key, revision: int, colour: str) -> None:
    labels = {"colour": colour}
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": key.name, "namespace": key.namespace, "labels": labels},
    }
    objects.put(key, Entry(b"", msgspec.json.encode(document), revision, revision, 1))


@given(CHANGES)
def test_lists_show_every_change(changes):
    objects, live = config_maps(), {}
    red = Selection(labels=parse("colour=red"))
    for revision, ((namespace, name), colour) in enumerate(changes, 2):
        key = Key(namespace, name)
        if colour is None:
            objects.drop(key, revision)
            live.pop(key, None)
        else:
            put(objects, key, revision, colour)
            live[key] = colour
        ordered = sorted(live, key=lambda each: f"{each.namespace}/{each.name}")
        for chosen, found in (
            (ordered, objects.items()),
            ([each for each in ordered if each.namespace == "a"], objects.items("a")),
            ([each for each in ordered if live[each] == "red"], objects.select(red)),
        ):
            assert [item.key for item in found] == chosen
            assert [stored.key for stored in found.stored] == chosen
            assert found.texts == [item.stored.json for item in found]
            assert found.size == sum(len(item.stored.json) for item in found)


def test_selections_that_are_kept_are_bounded():
    objects = config_maps()
    put(objects, Key("a", "x"), 2, "red")
    for number in range(2 * SELECTIONS_MAX):
        assert objects.select(Selection(labels=parse(f"colour!=c{number}"))) == objects.items()
    assert objects.select(Selection(labels=parse("colour=c1"))) == []


@given(
    st.lists(st.binary(max_size=20)),
    st.integers(1, 50),
    st.sampled_from([b"", b","]),
    st.binary(max_size=3),
    st.binary(max_size=3),
)
def test_pieces_are_the_whole(parts, size, separator, head, end):
    pieces = Pieces(parts, sum(map(len, parts)), head, end, separator)
    whole = head + separator.join(parts) + end
    assert pieces.whole() == whole == b"".join(pieces.each(size))
    assert pieces.size == len(whole)


def test_uids_are_random_uuids():
    entropy = Entropy()
    uids = {entropy.uid() for _ in range(1000)}
    assert len(uids) == 1000
    for text in uids:
        read = uuid.UUID(text)
        assert (str(read), read.version, read.variant) == (text, 4, uuid.RFC_4122)
    assert len({entropy.suffix() for _ in range(100)}) > 90


def test_who_asks_to_be_somebody_else_is_noticed():
    assert not impersonates(("Host", "Accept", "X-Impersonate-User"))
    for name in ("Impersonate-User", "impersonate-group", "IMPERSONATE-EXTRA-scopes"):
        assert impersonates(("Host", name))
