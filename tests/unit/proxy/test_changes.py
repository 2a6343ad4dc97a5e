"""Differences of tables: applied, they give what was wanted, and they touch no more than that."""

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.machinery.objects import Key
from pilothouse.services.proxy.changes import EMPTY, Change, Table, apply, diff
from pilothouse.services.proxy.contents import Contents, Slot, contents
from pilothouse.services.proxy.rules import Backend, PortRule

CIDR = "10.244.0.0/16"
NAMES = ["a", "b", "c", "d"]
backends = st.lists(
    st.builds(Backend, st.sampled_from([f"10.244.1.{i}" for i in range(2, 7)]), st.just(8080)),
    unique=True,
    max_size=4,
).map(lambda found: tuple(sorted(found)))


@st.composite
def rules(draw: st.DrawFn, name: str) -> tuple[PortRule, ...]:
    """A Service of one port, or none."""
    if draw(st.integers(0, 4)) == 0:
        return ()
    endpoints = draw(backends)
    number = NAMES.index(name)
    return (
        PortRule(
            "default",
            name,
            "",
            draw(st.sampled_from(["tcp", "udp"])),
            f"10.96.0.{number}",
            80,
            node_port=draw(st.sampled_from([0, 30080 + number])),
            # Shared on purpose: two Services may ask for one external address.
            external_ips=draw(st.sampled_from([(), ("192.0.2.1",)])),
            endpoints=endpoints,
            local=endpoints[: draw(st.integers(0, len(endpoints)))],
            affinity_seconds=draw(st.sampled_from([0, 0, 60])),
            internal_local=draw(st.booleans()),
            external_local=draw(st.booleans()),
        ),
    )


clusters = st.fixed_dictionaries({name: rules(name) for name in NAMES})


def whole(cluster: dict[str, tuple[PortRule, ...]]) -> Contents:
    return contents([rule for found in cluster.values() for rule in found], CIDR)


@given(clusters, clusters)
def test_a_difference_applied_gives_what_was_wanted(before, after):
    old, new = whole(before), whole(after)
    assert apply(old, diff(old, new)) == new


@given(clusters)
def test_nothing_to_do_is_no_change(cluster):
    there = whole(cluster)
    assert not diff(there, there)


@given(st.lists(st.dictionaries(st.sampled_from(NAMES), st.integers()), max_size=6), st.data())
def test_changes_add_up_to_the_table(steps, data):
    table, kernel = Table(), EMPTY
    for step in steps:
        wanted = {Key("default", name): contents(data.draw(rules(name)), CIDR) for name in step}
        kernel = apply(kernel, table.replace(wanted))
        assert kernel == table.contents()


@given(clusters)
def test_what_is_taken_away_leaves_nothing(cluster):
    table = Table()
    table.replace({Key("default", n): contents(found, CIDR) for n, found in cluster.items()})
    table.replace({Key("default", name): EMPTY for name in cluster})
    assert table.contents() == EMPTY


@given(clusters)
def test_every_chain_that_is_gone_to_exists(cluster):
    there = whole(cluster)
    texts = [*there.elements.values(), *(s for c in there.chains.values() for s in c)]
    targets = {w.rstrip(",") for text in texts for w in _after(text.split(), "goto")}
    assert targets - {"refuse"} <= there.chains.keys()
    sets = {w.lstrip("@") for t in texts for w in t.split() if w.startswith("@clients-")}
    assert sets == there.client_sets


def test_one_endpoint_more_touches_its_service_only():
    table = Table()
    many = {Key("default", f"s{i}"): contents([plain(i, 2)], CIDR) for i in range(100)}
    table.replace(many)
    change = table.replace({Key("default", "s7"): contents([plain(7, 3)], CIDR)})
    assert change == Change(
        old=Contents({Slot("services", "10.96.0.7 . tcp . 80"): "goto tcp-pick-2"}),
        new=Contents(
            {
                Slot("services", "10.96.0.7 . tcp . 80"): "goto tcp-pick-3",
                Slot("tcp-endpoints", "10.96.0.7 . 80 . 2"): "10.244.1.2 . 80",
                Slot("hairpins", "10.244.1.2 . 10.244.1.2"): "",
            },
            {"tcp-pick-3": contents([plain(7, 3)], CIDR).chains["tcp-pick-3"]},
        ),
    )


def test_the_first_to_claim_an_address_keeps_it_until_it_leaves():
    table = Table()
    slot = Slot("services", "192.0.2.1 . tcp . 80")
    first, second = Key("default", "x"), Key("default", "y")
    for key, number in ((first, 1), (second, 2)):
        claimed = Contents({slot: f"goto chain-{number}"})
        table.replace({key: claimed})
    assert table.contents().elements[slot] == "goto chain-1"
    change = table.replace({first: EMPTY})
    assert change.new.elements == {slot: "goto chain-2"}
    assert table.contents().elements[slot] == "goto chain-2"


def plain(number: int, count: int) -> PortRule:
    ends = tuple(Backend(f"10.244.1.{i}", 80) for i in range(count))
    return PortRule("default", f"s{number}", "", "tcp", f"10.96.0.{number}", 80, endpoints=ends)


def _after(words: list[str], word: str) -> list[str]:
    return [words[i + 1] for i, found in enumerate(words) if found == word]
