"""What the scheduler assumes, confirms, takes back and explains."""

from kit.scheduling import node, pod, view

from pilothouse.services.machinery.objects import Key
from pilothouse.services.scheduler import candidate
from pilothouse.services.scheduler.scheduler import Scheduler


def bound(name, where, **parts):
    return pod(name, nodeName=where, **parts)


def one_node(**parts):
    scheduler = Scheduler()
    scheduler.put_node(node("a", **parts), 0)
    return scheduler


def test_an_assumed_pod_counts_before_it_is_bound():
    scheduler = one_node(cpu="1")
    for name in ("one", "two"):
        scheduler.put_waiting(pod(name, requests={"cpu": "1"}))
    assert scheduler.decide(0).decision.node == "a"
    assert scheduler.decide(0).decision.refusals.sentence() == (
        "0/1 nodes are available: 1 Insufficient cpu."
    )
    assert scheduler.decide(0) is None


def test_a_failed_bind_takes_the_pod_back_and_lets_others_in():
    scheduler = one_node(cpu="1")
    one, two = (pod(name, requests={"cpu": "1"}) for name in ("one", "two"))
    scheduler.put_waiting(one)
    scheduler.put_waiting(two)
    scheduler.decide(0)
    scheduler.decide(0)
    scheduler.bind_failed(one, 5)
    assert scheduler.decide(5).pod == two
    assert scheduler.decide(6).decision.refusals is not None


def test_stale_news_of_an_assumed_pod_does_not_place_it_twice():
    scheduler = one_node()
    one = pod("one")
    scheduler.put_waiting(one)
    scheduler.decide(0)
    scheduler.put_waiting(pod("one", labels={"late": "label"}))
    assert scheduler.decide(0) is None
    assert len(scheduler.table.on_node("a")) == 1


def test_the_api_servers_word_confirms_what_was_assumed():
    scheduler = one_node()
    one = pod("one")
    scheduler.put_waiting(one)
    scheduler.decide(0)
    seen = view("one", nodeName="a").metadata
    assert not scheduler.confirm(seen, "b")
    assert scheduler.confirm(seen, "a")
    assert not scheduler.confirm(seen, "a")
    scheduler.bind_failed(one, 0)
    assert scheduler.table.placed(one.key) == (one, "a")
    assert sum(scheduler.pending().values()) == 0


def test_a_pod_bound_by_somebody_else_leaves_the_queue_and_counts():
    scheduler = one_node(pods="1")
    scheduler.put_waiting(pod("one"))
    scheduler.put_placed(bound("one", "a"), 0)
    assert scheduler.decide(0) is None
    scheduler.put_waiting(pod("two"))
    assert scheduler.decide(0).decision.refusals is not None
    scheduler.drop_pod(Key("default", "one"), 1)
    assert scheduler.decide(1).decision.node == "a"


def test_a_new_pod_of_the_same_name_is_another_pod():
    scheduler = one_node()
    old, new = pod("one", uid="old"), pod("one", uid="new")
    scheduler.put_waiting(old)
    scheduler.decide(0)
    scheduler.put_waiting(new)
    assert scheduler.table.on_node("a") == []
    assert scheduler.decide(0).pod.uid == "new"
    scheduler.bind_failed(old, 0)
    assert [item.uid for item in scheduler.table.on_node("a")] == ["new"]


def test_the_same_refusal_is_news_only_once():
    scheduler = one_node(unschedulable=True)
    scheduler.put_waiting(pod("one"))
    assert scheduler.decide(0).news
    scheduler.put_node(node("a", unschedulable=True, labels={"x": "y"}), 1)
    assert not scheduler.decide(1).news
    scheduler.put_node(node("b", unschedulable=True), 2)
    assert scheduler.decide(2).news
    scheduler.put_node(node("b"), 3)
    assert scheduler.decide(3).decision.node == "b"


def test_a_heartbeat_is_not_a_change():
    scheduler = one_node(unschedulable=True)
    scheduler.put_waiting(pod("one"))
    scheduler.decide(0)
    scheduler.put_node(node("a", unschedulable=True), 1)
    assert scheduler.decide(1) is None


def test_pods_that_wait_for_company_come_back_when_it_is_placed():
    scheduler = one_node()
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {"app": "db"}},
    }
    kind = "requiredDuringSchedulingIgnoredDuringExecution"
    scheduler.put_waiting(pod("web", affinity={"podAffinity": {kind: [term]}}))
    assert scheduler.decide(0).decision.refusals is not None
    scheduler.put_waiting(pod("db", labels={"app": "db"}))
    assert scheduler.decide(20).pod.key.name == "db"
    assert scheduler.decide(20).decision.node == "a"


def test_explain_says_what_every_plugin_says_of_every_node():
    scheduler = one_node(cpu="1")
    scheduler.put_node(node("b", unschedulable=True), 0)
    explanation = scheduler.explain(pod("p", requests={"cpu": "2"}))
    assert (explanation.node, explanation.bound) == ("", False)
    assert explanation.summary == (
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable."
    )
    reasons = {
        answer.node: {
            verdict.plugin: verdict.reason for verdict in answer.verdicts if verdict.reason
        }
        for answer in explanation.nodes
    }
    assert reasons == {
        "a": {"NodeResourcesFit": "Insufficient cpu"},
        "b": {"NodeUnschedulable": "node(s) were unschedulable"},
    }


def test_explaining_a_bound_pod_leaves_it_out_of_the_count_and_changes_nothing():
    scheduler = one_node(cpu="1")
    placed = candidate.from_pod(view("p", requests={"cpu": "1"}, nodeName="a"))
    scheduler.put_placed(placed, 0)
    explanation = scheduler.explain(placed)
    assert (explanation.node, explanation.bound) == ("a", True)
    assert explanation.summary == "1/1 nodes are available."
    assert scheduler.table.resources.free("cpu", 0) == 0


def test_explain_without_nodes():
    assert Scheduler().explain(pod("p")).summary == "no nodes available to schedule pods"
