"""Each plugin's sentence, and what it lets pass."""

import pytest
from kit.scheduling import node, pod, table_of

from pilothouse.services.scheduler import cycle
from pilothouse.services.scheduler.profile import DEFAULT


def decide(candidate, table):
    return cycle.schedule(candidate, table, DEFAULT, -1)


def sentence(candidate, table):
    refusals = decide(candidate, table).refusals
    assert refusals is not None
    return refusals.sentence()


TOLERATES_ALL = [{"operator": "Exists"}]
TAINTED = [{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]


@pytest.mark.parametrize(
    ("nodes", "wanted", "expected"),
    [
        ([], {}, "no nodes available to schedule pods"),
        (
            [node("a"), node("b", cpu="1"), node("c", unschedulable=True)],
            {"requests": {"cpu": "5"}},
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu.",
        ),
        (
            [node("a")],
            {"requests": {"cpu": "5", "memory": "9Gi"}},
            "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.",
        ),
        ([node("a", pods="0")], {}, "0/1 nodes are available: 1 Too many pods."),
        (
            [node("a")],
            {"requests": {"nvidia.com/gpu": "1"}},
            "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
        ),
        (
            [node("a", taints=TAINTED)],
            {},
            "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: db}.",
        ),
        (
            [node("a")],
            {"nodeSelector": {"disk": "ssd"}},
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
        ),
        (
            [node("a")],
            {"nodeName": "b"},
            "0/1 nodes are available: 1 node(s) didn't match the requested node name.",
        ),
    ],
)
def test_refusals_in_the_words_of_kubernetes(nodes, wanted, expected):
    assert sentence(pod("p", **wanted), table_of(*nodes)) == expected


def test_tolerations_let_pods_onto_tainted_and_cordoned_nodes():
    table = table_of(node("a", taints=TAINTED, unschedulable=True))
    assert decide(pod("p", tolerations=TOLERATES_ALL), table).node == "a"


def test_prefer_no_schedule_ranks_and_does_not_refuse():
    soft = [{"key": "k", "value": "", "effect": "PreferNoSchedule"}]
    assert decide(pod("p"), table_of(node("a", taints=soft), node("b"))).node == "b"
    assert decide(pod("p"), table_of(node("a", taints=soft))).node == "a"


def required(*terms):
    kind = "requiredDuringSchedulingIgnoredDuringExecution"
    return {"affinity": {"nodeAffinity": {kind: {"nodeSelectorTerms": list(terms)}}}}


def expression(key, operator, *values):
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (expression("tier", "In", "gold", "iron"), {"a"}),
        (expression("tier", "NotIn", "gold"), {"b", "c"}),
        (expression("tier", "Exists"), {"a", "b"}),
        (expression("tier", "DoesNotExist"), {"c"}),
        (expression("cores", "Gt", "4"), {"b"}),
        (expression("cores", "Lt", "8"), {"a"}),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["c"]}]}, {"c"}),
        ({}, set()),
    ],
)
def test_every_operator_of_node_affinity(term, expected):
    table = table_of(
        node("a", labels={"tier": "gold", "cores": "4"}),
        node("b", labels={"tier": "tin", "cores": "8"}),
        node("c"),
    )
    answers = cycle.verdicts(pod("p", **required(term)), table, DEFAULT)
    fitting = {
        name
        for name, verdicts in zip(table.names, answers, strict=True)
        if not any(verdict.reason for verdict in verdicts)
    }
    assert fitting == expected


def test_any_term_of_node_affinity_is_enough():
    table = table_of(node("a", labels={"x": "1"}), node("b", labels={"x": "2"}))
    terms = required(expression("x", "In", "9"), expression("x", "In", "2"))
    assert decide(pod("p", **terms), table).node == "b"


def test_preferred_node_affinity_weighs():
    preferred = {
        "affinity": {
            "nodeAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 1, "preference": expression("x", "In", "1")},
                    {"weight": 5, "preference": expression("x", "In", "2")},
                ]
            }
        }
    }
    table = table_of(*(node(f"n{i}", labels={"x": str(i)}) for i in range(4)))
    assert decide(pod("p", **preferred), table).node == "n2"


@pytest.mark.parametrize(
    ("held", "wanted", "fits"),
    [
        ({"hostPort": 80}, {"hostPort": 80}, False),
        ({"hostPort": 80}, {"hostPort": 81}, True),
        ({"hostPort": 80}, {"hostPort": 80, "protocol": "UDP"}, True),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80, "hostIP": "10.0.0.2"}, True),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80}, False),
        ({"hostPort": 80}, {"hostPort": 80, "hostIP": "10.0.0.2"}, False),
    ],
)
def test_host_ports(held, wanted, fits):
    table = table_of(node("a"))
    first, second = pod("first", ports=[held]), pod("second", ports=[wanted])
    table.place(first, "a")
    refused = "didn't have free ports" in str(decide(second, table).refusals)
    assert refused is not fits
    table.remove(first.key)
    assert decide(second, table).node == "a"


def test_the_host_network_holds_container_ports():
    table = table_of(node("a"))
    table.place(pod("first", hostNetwork=True, ports=[{"containerPort": 80}]), "a")
    assert decide(pod("second", ports=[{"containerPort": 80}]), table).node == "a"
    assert decide(pod("third", ports=[{"hostPort": 80}]), table).refusals is not None


def test_the_emptier_node_is_taken_and_requests_count():
    table = table_of(node("a"), node("b"))
    table.place(pod("big", requests={"cpu": "2"}), "a")
    assert decide(pod("p", requests={"cpu": "1"}), table).node == "b"


def test_balanced_use_is_preferred_among_equally_full_nodes():
    table = table_of(node("a", cpu="10", memory="10Gi"), node("b", cpu="10", memory="10Gi"))
    table.place(pod("cpu", requests={"cpu": "4", "memory": "1Gi"}), "a")
    table.place(pod("memory", requests={"cpu": "1", "memory": "4Gi"}), "b")
    assert decide(pod("p", requests={"cpu": "3", "memory": "0"}), table).node == "b"


def test_pods_of_one_owner_spread_even_where_another_node_is_emptier():
    table = table_of(node("a"), node("b"))
    table.place(pod("web-1", owner="web"), "a")
    table.place(pod("other", requests={"cpu": "1"}), "b")
    assert decide(pod("web-2", owner="web"), table).node == "b"
    assert decide(pod("stranger"), table).node == "a"


def test_pods_of_one_owner_spread_over_zones_first():
    zones = {"a": "z1", "b": "z1", "c": "z2"}
    table = table_of(
        *(node(n, labels={"topology.kubernetes.io/zone": zone}) for n, zone in zones.items())
    )
    table.place(pod("web-1", owner="web"), "a")
    assert decide(pod("web-2", owner="web"), table).node == "c"


def pod_affinity(kind, key="kubernetes.io/hostname", app="web", **more):
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}, **more}
    return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


WEB = {"labels": {"app": "web"}}


def test_anti_affinity_keeps_pods_apart():
    table = table_of(node("a"), node("b"))
    for name in ("one", "two"):
        candidate = pod(name, **WEB, **pod_affinity("podAntiAffinity"))
        table.place(candidate, decide(candidate, table).node)
    assert {name for name in table.rows if table.on_node(name)} == {"a", "b"}
    assert sentence(pod("three", **WEB, **pod_affinity("podAntiAffinity")), table) == (
        "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules."
    )


def test_anti_affinity_of_placed_pods_binds_those_that_come_later():
    table = table_of(node("a"))
    shy = pod("shy", **pod_affinity("podAntiAffinity"))
    table.place(shy, "a")
    assert sentence(pod("web", **WEB), table) == (
        "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules."
    )
    assert decide(pod("web", **WEB, namespace="elsewhere"), table).node == "a"
    table.remove(shy.key)
    assert decide(pod("web", **WEB), table).node == "a"


def test_affinity_goes_to_the_zone_of_the_others_and_the_first_may_go_anywhere():
    zone = "topology.kubernetes.io/zone"
    table = table_of(
        node("bare"),
        node("a", labels={zone: "1"}),
        node("b", labels={zone: "2"}),
        node("c", labels={zone: "2"}, pods="1"),
    )
    first = pod("first", **WEB, **pod_affinity("podAffinity", zone))
    assert decide(first, table).node != "bare"
    table.place(first, "c")
    assert decide(pod("second", **WEB, **pod_affinity("podAffinity", zone)), table).node == "b"
    stranger = pod("stranger", **pod_affinity("podAffinity", zone, app="nobody"))
    assert sentence(stranger, table) == (
        "0/4 nodes are available: 1 Too many pods, 3 node(s) didn't match pod affinity rules."
    )


def test_namespace_selectors_of_affinity_follow_the_namespaces_labels():
    table = table_of(node("a"), node("b"))
    table.put_namespace("team", {"tier": "x"})
    table.place(pod("db", namespace="team", labels={"app": "db"}), "a")
    selector = {"namespaceSelector": {"matchLabels": {"tier": "x"}}}
    lonely = pod("p", **pod_affinity("podAffinity", app="db", **selector))
    assert decide(lonely, table).node == "a"
    table.put_namespace("team", {"tier": "y"})
    assert decide(lonely, table).refusals is not None


def spread(skew=1, key="zone", when="DoNotSchedule", **more):
    constraint = {
        "maxSkew": skew,
        "topologyKey": key,
        "whenUnsatisfiable": when,
        "labelSelector": {"matchLabels": {"app": "web"}},
        **more,
    }
    return {"topologySpreadConstraints": [constraint]}


def test_hard_spread_refuses_the_domain_that_is_ahead_and_nodes_without_the_label():
    table = table_of(
        node("a", labels={"zone": "1"}),
        node("b", labels={"zone": "2"}, cpu="1"),
        node("bare"),
    )
    table.place(pod("one", **WEB), "a")
    assert decide(pod("two", **WEB, **spread()), table).node == "b"
    assert sentence(pod("two", **WEB, **spread(), requests={"cpu": "2"}), table) == (
        "0/3 nodes are available: 1 Insufficient cpu, "
        "1 node(s) didn't match pod topology spread constraints, "
        "1 node(s) didn't match pod topology spread constraints (missing required label)."
    )
    assert decide(pod("two", **WEB, **spread(2), requests={"cpu": "2"}), table).node == "a"


def test_spread_counts_only_domains_that_the_pod_may_use():
    table = table_of(
        node("a", labels={"zone": "1", "use": "y"}),
        node("b", labels={"zone": "2"}),
    )
    table.place(pod("one", **WEB), "a")
    wanted = {**WEB, "nodeSelector": {"use": "y"}}
    assert decide(pod("two", **wanted, **spread()), table).node == "a"
    assert (
        decide(pod("two", **wanted, **spread(nodeAffinityPolicy="Ignore")), table).refusals
        is not None
    )


def test_min_domains_treats_missing_domains_as_empty():
    table = table_of(node("a", labels={"zone": "1"}))
    table.place(pod("one", **WEB), "a")
    assert decide(pod("two", **WEB, **spread()), table).node == "a"
    assert decide(pod("two", **WEB, **spread(minDomains=2)), table).refusals is not None


def test_soft_spread_ranks():
    table = table_of(node("a", labels={"zone": "1"}), node("b", labels={"zone": "2"}))
    table.place(pod("one", **WEB), "a")
    table.place(pod("big", requests={"cpu": "2"}), "b")
    assert decide(pod("two", **WEB, **spread(when="ScheduleAnyway")), table).node == "b"


def test_a_node_refused_twice_by_one_sentence_counts_once():
    table = table_of(node("a"))
    for name in ("x", "y"):
        table.place(pod(name, labels={"app": name}), "a")
    terms = [
        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": app}}}
        for app in ("x", "y")
    ]
    kind = "requiredDuringSchedulingIgnoredDuringExecution"
    shy = pod("p", affinity={"podAntiAffinity": {kind: terms}})
    assert sentence(shy, table) == (
        "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules."
    )
