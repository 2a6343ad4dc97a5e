"""Decisions on any cluster: never over capacity, even, and as the slow reference decides."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.scheduling import node, pod, table_of, view
from kit.scheduling_reference import ReferenceNode, best

from pilothouse.services.scheduler import candidate, cycle
from pilothouse.services.scheduler.profile import DEFAULT

TAINTS = [
    {"key": "hard", "value": "", "effect": "NoSchedule"},
    {"key": "soft", "value": "", "effect": "PreferNoSchedule"},
]

nodes = st.lists(
    st.fixed_dictionaries(
        {
            "cpu": st.sampled_from(["0", "500m", "1", "2"]),
            "memory": st.sampled_from(["512Mi", "1Gi", "3Gi"]),
            "pods": st.sampled_from(["1", "3", "110"]),
            "labels": st.sampled_from([{}, {"disk": "ssd"}, {"disk": "hdd"}]),
            "unschedulable": st.sampled_from([False, False, True]),
            "taints": st.lists(st.sampled_from(TAINTS), max_size=2),
        }
    ),
    min_size=1,
    max_size=6,
).map(lambda parts: [node(f"n{i}", **part) for i, part in enumerate(parts)])

requests = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.sampled_from(["100m", "250m", "1"]),
        "memory": st.sampled_from(["64Mi", "600Mi"]),
        "example.com/card": st.just("1"),
    },
)
wanted = st.lists(
    st.fixed_dictionaries(
        {
            "requests": requests,
            "owner": st.sampled_from(["", "web", "db"]),
            "nodeSelector": st.sampled_from([{}, {}, {"disk": "ssd"}]),
            "tolerations": st.sampled_from([[], [{"key": "hard", "operator": "Exists"}]]),
        }
    ),
    max_size=12,
).map(lambda parts: [view(f"p{i}", **part) for i, part in enumerate(parts)])


@given(nodes, wanted)
@settings(deadline=None)
def test_the_columns_decide_as_the_reference_does(cluster, pods):
    table = table_of(*cluster)
    reference = {item.metadata.name: ReferenceNode(item) for item in cluster}
    last = -1
    for item in pods:
        decision = cycle.schedule(candidate.from_pod(item), table, DEFAULT, last)
        expected = best(list(reference.values()), item)
        assert (decision.refusals is not None) == (not expected)
        if expected:
            assert decision.node in expected
            last = decision.row
            table.place(candidate.from_pod(item), decision.node)
            reference[decision.node].pods.append(item)


@given(nodes, wanted, st.data())
@settings(deadline=None)
def test_what_is_counted_is_what_is_there_whatever_comes_and_goes(cluster, pods, data):
    table = table_of(*cluster)
    placed = {}
    names = [item.metadata.name for item in cluster]
    for item in pods:
        where = data.draw(st.sampled_from([*names, "not-yet"]))
        table.place(candidate.from_pod(item), where)
        placed[item.metadata.key] = (item, where)
        gone = data.draw(st.sampled_from(["nothing", "pod", "node"]))
        if gone == "pod":
            key = data.draw(st.sampled_from(sorted(placed)))
            del placed[key]
            table.remove(key)
        elif gone == "node":
            name = data.draw(st.sampled_from(names))
            if name in table.rows:
                table.drop_node(name)
            else:
                table.put_node(next(n for n in cluster if n.metadata.name == name))
    fresh = table_of(*(n for n in cluster if n.metadata.name in table.rows))
    for item, where in placed.values():
        fresh.place(candidate.from_pod(item), where)
    for name, row in table.rows.items():
        for resource in ("cpu", "memory", "pods", "example.com/card"):
            free = table.resources.free(resource, row)
            assert free == fresh.resources.free(resource, fresh.rows[name])
    for owner in ("web", "db"):
        counted, expected = table.pods_of_owner(owner), fresh.pods_of_owner(owner)
        assert {n: counted[r] for n, r in table.rows.items()} == {
            n: expected[r] for n, r in fresh.rows.items()
        }


@given(st.integers(1, 9), st.integers(0, 40))
def test_equal_nodes_get_pods_round_robin(count, pods):
    table = table_of(*(node(f"n{i}") for i in range(count)))
    got, last = Counter(), -1
    for index in range(pods):
        item = pod(f"p{index}")
        decision = cycle.schedule(item, table, DEFAULT, last)
        last = decision.row
        table.place(item, decision.node)
        got[decision.node] += 1
    assert max(got.values(), default=0) - min((got[n] for n in table.names), default=0) <= 1


def test_ties_go_on_after_the_last_node_and_around():
    table = table_of(*(node(f"n{i}") for i in range(3)))
    rows = [cycle.schedule(pod("p"), table, DEFAULT, last).row for last in (-1, 0, 1, 2, 99)]
    assert rows == [0, 1, 2, 0, 0]


def test_a_full_cluster_refuses_the_next_pod_and_takes_it_after_one_left():
    table = table_of(node("a", cpu="1"))
    first, second = pod("one", requests={"cpu": "1"}), pod("two", requests={"cpu": "1"})
    table.place(first, "a")
    assert cycle.schedule(second, table, DEFAULT, -1).refusals is not None
    table.remove(first.key)
    assert cycle.schedule(second, table, DEFAULT, -1).node == "a"


def test_the_table_grows_and_shrinks():
    table = table_of(*(node(f"n{i}", more={"example.com/card": i}) for i in range(200)))
    for i in range(0, 200, 2):
        table.drop_node(f"n{i}")
    assert len(table) == table.columns.rows == 100
    assert all(
        table.resources.free("example.com/card", row) == int(name[1:])
        for name, row in table.rows.items()
    )
    decision = cycle.schedule(pod("p", requests={"example.com/card": "199"}), table, DEFAULT, -1)
    assert decision.node == "n199"
    assert not np.isnan(table.resources.cpu.room.cells).any()
