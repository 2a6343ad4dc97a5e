"""What each column shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.rest.tables import ages, pods
from pilothouse.services.apiserver.rest.tables.columns import COLUMNS
from pilothouse.services.apiserver.rest.tables.table import Printer
from pilothouse.services.machinery import timestamps

NOW = 1_800_000_000.0


def at(seconds):
    return timestamps.render(NOW + seconds)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "<invalid>"), (-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"),
        (600, "10m"), (10_799, "179m"), (10_800, "3h"), (11_100, "3h5m"), (28_800, "8h"),
        (172_799, "47h"), (172_800, "2d"), (180_000, "2d2h"), (691_200, "8d"),
        (31_536_000, "365d"), (63_072_000, "2y"), (63_158_400, "2y1d"), (252_288_000, "8y"),
    ],
)  # fmt: skip
def test_ages_are_written_as_kubectl_writes_them(seconds, shown):
    assert ages.human(seconds) == shown


@given(st.floats(min_value=0, max_value=1e10))
def test_an_age_is_short(seconds):
    assert 2 <= len(ages.human(seconds)) <= 7


def pod(phase="Running", **more):
    spec = {"containers": [{"name": "a"}, {"name": "b"}], **more.pop("spec", {})}
    metadata = {"name": "p", **more.pop("metadata", {})}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase, **more}}


def state(kind, **content):
    return {"name": "a", "state": {kind: content}, "ready": kind == "running"}


RUNNING = state("running")
READY = [{"type": "Ready", "status": "True"}]


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        (pod("Pending"), "Pending"),
        (pod("Failed", reason="Evicted"), "Evicted"),
        (pod("Running", containerStatuses=[RUNNING]), "Running"),
        (
            pod("Pending", containerStatuses=[state("waiting", reason="ContainerCreating")]),
            "ContainerCreating",
        ),
        (
            pod(
                "Running", containerStatuses=[state("waiting", reason="CrashLoopBackOff"), RUNNING]
            ),
            "CrashLoopBackOff",
        ),
        (pod("Failed", containerStatuses=[state("terminated", exitCode=3)]), "ExitCode:3"),
        (
            pod("Failed", containerStatuses=[state("terminated", signal=9, exitCode=137)]),
            "Signal:9",
        ),
        (
            pod("Succeeded", containerStatuses=[state("terminated", reason="Completed")]),
            "Completed",
        ),
        (
            pod(
                "Running",
                containerStatuses=[state("terminated", reason="Completed"), RUNNING],
                conditions=READY,
            ),
            "Running",
        ),
        (
            pod("Running", containerStatuses=[state("terminated", reason="Completed"), RUNNING]),
            "NotReady",
        ),
        (pod("Running", metadata={"deletionTimestamp": at(0)}), "Terminating"),
        (pod("Succeeded", metadata={"deletionTimestamp": at(0)}), "Succeeded"),
        (
            pod("Running", reason="NodeLost", metadata={"deletionTimestamp": at(0)}),
            "Unknown",
        ),
        (
            pod(
                "Pending",
                conditions=[{"type": "PodScheduled", "reason": "SchedulingGated"}],
            ),
            "SchedulingGated",
        ),
        (
            pod(
                "Pending",
                spec={"initContainers": [{"name": "i"}, {"name": "j"}]},
                initContainerStatuses=[state("terminated", exitCode=0), state("running")],
            ),
            "Init:1/2",
        ),
        (
            pod("Pending", initContainerStatuses=[state("terminated", exitCode=1, reason="Error")]),
            "Init:Error",
        ),
        (
            pod("Pending", initContainerStatuses=[state("waiting", reason="CrashLoopBackOff")]),
            "Init:CrashLoopBackOff",
        ),
        (
            pod("Pending", initContainerStatuses=[state("waiting", reason="PodInitializing")]),
            "Init:0/0",
        ),
    ],
)
def test_the_word_of_a_pod(document, shown):
    assert pods.status(document) == shown


def test_ready_counts_sidecars():
    document = pod(
        spec={"initContainers": [{"name": "side", "restartPolicy": "Always"}]},
        initContainerStatuses=[
            {"name": "side", "started": True, "ready": True, "state": {"running": {}}}
        ],
        containerStatuses=[RUNNING],
    )
    assert pods.ready(document) == "2/3"


def test_restarts_say_how_long_ago():
    status = {"restartCount": 2, "lastState": {"terminated": {"finishedAt": at(-300)}}}
    assert pods.restarts(pod(containerStatuses=[status]), NOW) == "2 (5m ago)"
    assert pods.restarts(pod(containerStatuses=[{"restartCount": 0}]), NOW) == "0"


def cells(group, plural, document):
    table = Printer(group, plural).table([document], {}, NOW)
    names = [column["name"] for column in table["columnDefinitions"]]
    return dict(zip(names, table["rows"][0]["cells"], strict=True))


def test_services():
    spec = {
        "type": "NodePort", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"],
        "ports": [
            {"port": 80, "nodePort": 30001, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"},
        ],
        "selector": {"b": "2", "a": "1"},
    }  # fmt: skip
    shown = cells("", "services", {"metadata": {"name": "s"}, "spec": spec})
    assert shown["Port(s)"] == "80:30001/TCP,53/UDP"
    assert shown["Selector"] == "a=1,b=2"
    assert shown["External-IP"] == "<none>"
    pending = {"metadata": {"name": "s"}, "spec": {"type": "LoadBalancer"}}
    assert cells("", "services", pending)["External-IP"] == "<pending>"
    headless = {"metadata": {"name": "s"}, "spec": {"clusterIP": "None", "clusterIPs": ["None"]}}
    assert cells("", "services", headless)["Cluster-IP"] == "None"


def test_nodes():
    labels = {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "edge"}
    document = {
        "metadata": {"name": "n", "labels": labels},
        "spec": {"unschedulable": True},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    shown = cells("", "nodes", document)
    assert shown["Status"] == "Ready,SchedulingDisabled"
    assert shown["Roles"] == "control-plane,edge"
    assert shown["Internal-IP"] == "<none>"
    assert cells("", "nodes", {"metadata": {"name": "n"}})["Status"] == "Unknown"


def test_endpoints_show_three_and_count_the_rest():
    subset = {"addresses": [{"ip": f"10.0.0.{n}"} for n in range(5)], "ports": [{"port": 80}]}
    shown = cells("", "endpoints", {"metadata": {"name": "e"}, "subsets": [subset]})
    assert shown["Endpoints"] == "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more..."


def test_selectors_of_workloads():
    expressions = [
        {"key": "tier", "operator": "In", "values": ["b", "a"]},
        {"key": "old", "operator": "DoesNotExist"},
    ]
    spec = {"replicas": 3, "selector": {"matchLabels": {"a": "1"}, "matchExpressions": expressions}}
    document = {"metadata": {"name": "d"}, "spec": spec, "status": {"readyReplicas": 1}}
    shown = cells("apps", "deployments", document)
    assert shown["Ready"] == "1/3"
    assert shown["Selector"] == "a=1,tier in (a,b),!old"


def test_events_that_come_in_series():
    document = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p"},
        "firstTimestamp": at(-600),
        "lastTimestamp": at(-60),
        "count": 3,
        "source": {"component": "kubelet", "host": "n"},
        "message": " text\n",
    }
    shown = cells("", "events", document)
    assert (shown["Last Seen"], shown["First Seen"], shown["Count"]) == ("60s", "10m", 3)
    assert (shown["Object"], shown["Source"]) == ("pod/p", "kubelet, n")
    assert shown["Message"] == "text"


def test_flow_schemas_say_whether_their_level_is_missing():
    spec = {"priorityLevelConfiguration": {"name": "level"}, "matchingPrecedence": 5}
    document = {"metadata": {"name": "f"}, "spec": spec}
    group = "flowcontrol.apiserver.k8s.io"
    assert cells(group, "flowschemas", document)["MissingPL"] == "?"
    document["status"] = {"conditions": [{"type": "Dangling", "status": "True"}]}
    assert cells(group, "flowschemas", document)["MissingPL"] == "True"


def test_every_kind_prints_an_object_that_says_nothing():
    """Whatever is missing, a list must not fail."""
    for kind in builtin_catalog().all():
        table = Printer(kind.group, kind.plural).table([{"metadata": {"name": "x"}}], {}, NOW)
        row = table["rows"][0]
        assert len(row["cells"]) == len(table["columnDefinitions"])
        assert row["object"]["metadata"] == {"name": "x"}


def test_columns_are_of_kinds_that_are_served():
    served = {(kind.group, kind.plural) for kind in builtin_catalog().all()}
    assert set(COLUMNS) - {("autoscaling", "scale")} <= served
