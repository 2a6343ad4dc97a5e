"""Seats, queues and turns, on a clock of the test's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.apiserver.flow.classification import Digest
from pilothouse.services.apiserver.flow.control import TURN_SEATS, Control, Rejected
from pilothouse.services.apiserver.flow.limits import list_width, share_out
from pilothouse.services.apiserver.flow.shuffling import deal, entropy_bits, hand_of
from pilothouse.services.apiserver.flow.standard import standard_levels, standard_schemas
from pilothouse.services.apiserver.requests import User

LIST = Digest("list", "", "pods", "default")
PATH = Digest("get", path="/api")
# A flood's first requests came as fresh as anybody's, one in each queue of its hand.
WARM_TURNS = 6
AUTHENTICATED = ("system:authenticated",)


def control(seats=600):
    made = Control(seats)
    made.configure(standard_schemas(), standard_levels())
    return made


def somebody(name, *groups):
    return User(name, (*groups, *AUTHENTICATED))


@pytest.mark.parametrize(
    ("user", "digest", "schema"),
    [
        (User("admin", ("system:masters", *AUTHENTICATED)), LIST, "exempt"),
        (somebody("jane"), LIST, "global-default"),
        (User("system:anonymous", ("system:unauthenticated",)), PATH, "global-default"),
        (somebody("jane"), Digest("get", path="/readyz"), "probes"),
        (somebody("jane"), Digest("get", path="/readyz/etcd"), "global-default"),
        (somebody("system:kube-scheduler"), LIST, "kube-scheduler"),
        (
            somebody("system:kube-scheduler"),
            Digest("update", "coordination.k8s.io", "leases", "kube-system"),
            "system-leader-election",
        ),
        (somebody("system:node:a", "system:nodes"), LIST, "system-nodes"),
        (
            somebody("system:node:a", "system:nodes"),
            Digest("patch", "", "nodes/status"),
            "system-node-high",
        ),
        (
            somebody("system:serviceaccount:kube-system:x", "system:serviceaccounts"),
            LIST,
            "kube-system-service-accounts",
        ),
        (
            somebody("system:serviceaccount:mine:x", "system:serviceaccounts"),
            LIST,
            "service-accounts",
        ),
    ],
)
def test_requests_are_sorted_as_upstream_sorts_them(user, digest, schema):
    assert control().flow(user, digest).schema == schema


def test_seats_are_shared_out_by_shares():
    limits = share_out(standard_levels(), 600)
    assert {name: each.nominal for name, each in limits.items()} == {
        "exempt": 0,
        "catch-all": 13,
        "global-default": 49,
        "leader-election": 25,
        "node-high": 98,
        "system": 74,
        "workload-high": 98,
        "workload-low": 245,
    }
    assert limits["system"].lower == 50
    assert limits["workload-low"].width == 10


def flood(made, user, number, now=0.0):
    """So many requests at once: the tickets."""
    flow = made.flow(user, LIST)
    return [made.arrive(flow, 1, now) for _ in range(number)]


def run_turns(made, running):
    """Turns of the loop in which everything that runs ends at once: who began in each."""
    turns = []
    while made.waiting():
        for ticket in running:
            made.leave(ticket)
        running = made.turn(1.0)
        assert running, "somebody waits and nobody begins"
        turns.append(running)
    return turns


def test_a_flood_leaves_the_next_turn_to_others():
    made, noisy = control(), somebody("noisy")
    tickets = flood(made, noisy, 64)
    running = [each for each in tickets if each.state == "running"]
    assert len(running) == TURN_SEATS
    for turn in range(100):
        for ticket in running:
            made.leave(ticket)
        # Each connection whose request was answered sends the next one.
        flood(made, noisy, len(running), float(turn))
        quiet = None
        if turn >= WARM_TURNS:
            quiet = made.arrive(made.flow(somebody(f"quiet-{turn}"), LIST), 1, float(turn))
        running = made.turn(float(turn))
        assert len(running) == TURN_SEATS
        assert quiet is None or quiet in running


def test_without_fairness_the_other_would_wait_for_all_of_the_flood():
    """What the test above is worth: one flow is served in the order of its arrival."""
    made, noisy = control(), somebody("noisy")
    running = flood(made, noisy, 64)[:TURN_SEATS]
    last = made.arrive(made.flow(noisy, LIST), 1, 0.5)
    assert last in run_turns(made, running)[-1]


def test_levels_take_turns():
    made = control()
    running = flood(made, somebody("noisy"), 64)[:TURN_SEATS]
    node = somebody("system:node:a", "system:nodes")
    other = made.arrive(made.flow(node, LIST), 1, 0.5)
    assert other.state == "waiting"
    first, second, *_ = run_turns(made, running)
    assert other in first + second


def test_the_exempt_never_wait():
    made = control()
    flood(made, somebody("noisy"), 64)
    admin = User("admin", ("system:masters",))
    assert all(each.state == "running" for each in flood(made, admin, 1000))


def test_a_full_queue_sends_away():
    made = control()
    with pytest.raises(Rejected) as refused:
        flood(made, somebody("noisy"), 1000)
    assert refused.value.reason == "queue-full"
    # The six queues that one user is dealt, fifty in each.
    assert made.levels["global-default"].inqueue == 300
    assert made.arrive(made.flow(somebody("quiet"), LIST), 1, 0.0).state == "waiting"


def test_catch_all_refuses_where_it_has_no_seat():
    made = Control(600)
    user = somebody("jane")
    with pytest.raises(Rejected) as refused:
        flood(made, user, 1000)
    assert refused.value.reason == "concurrency-limit"


def test_seats_are_lent_and_given_back():
    made = control()
    level = made.levels["global-default"]
    running = []
    for _ in range(60):
        running += flood(made, somebody("noisy"), 1)
        made.turn(0.0)
    assert level.seats == 60 > level.limits.nominal
    for ticket in running:
        made.leave(ticket)
        made.leave(ticket)
    assert level.seats == 0


def test_who_gives_up_waits_no_longer():
    made = control()
    tickets = flood(made, somebody("noisy"), 10)
    made.give_up(tickets[-1], "time-out")
    turns = run_turns(made, tickets[:TURN_SEATS])
    assert tickets[-1] not in [each for turn in turns for each in turn]
    assert made.measures.refused[("global-default", "global-default", "time-out")] == 1


def test_a_level_that_goes_still_serves_who_waits_there():
    made = control()
    tickets = flood(made, somebody("noisy"), 10)
    keep = [each for each in standard_levels() if each.metadata.name != "global-default"]
    made.configure(standard_schemas(), keep)
    assert made.flow(somebody("noisy"), LIST).schema == "catch-all"
    turns = run_turns(made, tickets[:TURN_SEATS])
    assert sum(map(len, turns)) == 10 - TURN_SEATS


def test_a_wide_request_waits_until_it_fits_and_always_may_run_alone():
    made = Control(10)
    made.configure(standard_schemas(), standard_levels())
    flow = made.flow(somebody("jane"), LIST)
    assert flow.level.limits.nominal == 1
    ticket = made.arrive(flow, 10, 0.0)
    assert ticket.state == "running"


@pytest.mark.parametrize(
    ("objects", "limit", "width"),
    [(0, 0, 1), (100, 0, 1), (101, 0, 2), (5000, 0, 10), (5000, 100, 1)],
)
def test_width_of_lists(objects, limit, width):
    assert list_width(objects, limit, 10) == width


@given(st.integers(0, 2**64 - 1), st.integers(1, 128), st.data())
def test_a_hand_holds_different_cards(number, deck, data):
    hand = data.draw(st.integers(1, min(deck, 8)))
    cards = deal(number, deck, hand)
    assert len(set(cards)) == hand
    assert all(0 <= card < deck for card in cards)


def test_flows_are_dealt_apart():
    hands = {hand_of("global-default", f"user-{n}", 128, 6) for n in range(200)}
    assert len(hands) > 190
    assert entropy_bits(128, 6) == 42


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(1, 3)), max_size=80))
def test_every_ticket_begins_once_and_every_seat_comes_back(arrivals):
    made = control()
    tickets = [
        made.arrive(made.flow(somebody(name), LIST), width, float(place))
        for place, (name, width) in enumerate(arrivals)
    ]
    begun = [each for each in tickets if each.state == "running"]
    begun += [each for turn in run_turns(made, list(begun)) for each in turn]
    for ticket in begun:
        made.leave(ticket)
    assert len(begun) == len(set(map(id, begun))) == len(tickets)
    assert all(level.seats == 0 for level in made.levels.values())
    assert all(not level.queues for level in made.levels.values() if not level.inqueue)
