"""Invariants about places, histories and what is kept: they see what is broken."""

import msgspec
import pytest

from pilothouse.ops.simulation import sweep
from pilothouse.ops.simulation.invariants.guards import Quotas
from pilothouse.ops.simulation.invariants.kept import unkept
from pilothouse.ops.simulation.invariants.replicas import Replicas
from pilothouse.ops.simulation.invariants.sets import INDEX, Places
from pilothouse.ops.simulation.state import MEMORY_SECONDS, State
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.storage import Change, Entry


class Cluster:
    """Commits by hand."""

    def __init__(self):
        self.state = State()
        self.now = 0.0
        self.invariants = (Places(self.state), Quotas(), Replicas(self.state, {}))

    def put(self, plural, name, owner="", metadata=None, **document):
        kind, _, uid = owner.partition("/")
        owners = [{"kind": kind, "name": uid, "uid": uid, "controller": True}] if owner else []
        placed = {"name": name, "namespace": "a", "uid": name, "ownerReferences": owners}
        document["metadata"] = {**placed, **(metadata or {})}
        key = f"/registry/{plural}/a/{name}".encode()
        entry = Entry(key, msgspec.json.encode(document), 1, 1, 1)
        step = self.state.apply(Change(key, 1, entry, None))
        return [said for one in self.invariants for said in one.see(step, self.now)]


@pytest.fixture
def cluster():
    return Cluster()


def test_two_pods_of_one_index_are_seen(cluster):
    first, second = ({"annotations": {INDEX: index}} for index in "01")
    assert not cluster.put("pods", "p", "Job/j", first, spec={})
    assert not cluster.put("pods", "q", "Job/j", second, spec={})
    assert cluster.put("pods", "r", "Job/j", second, spec={})


def test_two_daemons_on_a_node_are_seen_unless_one_is_there_to_replace_the_other(cluster):
    def update(surge):
        strategy = {"rollingUpdate": {"maxSurge": surge}}
        return cluster.put("daemonsets", "d", spec={"updateStrategy": strategy})

    on_node = {"nodeName": "node-1"}
    assert not update(1)
    assert not cluster.put("pods", "p", "DaemonSet/d", spec=on_node)
    assert not cluster.put("pods", "q", "DaemonSet/d", spec=on_node)
    assert cluster.put("pods", "r", "DaemonSet/d", spec=on_node)
    assert not update(0)
    cluster.now = MEMORY_SECONDS * 2
    assert cluster.put("pods", "s", "DaemonSet/d", spec=on_node)


def test_two_jobs_of_a_cronjob_that_forbids_it_are_seen(cluster):
    over = {"conditions": [{"type": "Complete", "status": "True"}]}
    assert not cluster.put("cronjobs", "c", spec={"concurrencyPolicy": "Forbid"})
    assert not cluster.put("jobs", "one", "CronJob/c", status=over)
    assert not cluster.put("jobs", "two", "CronJob/c")
    assert cluster.put("jobs", "three", "CronJob/c")


def test_a_quota_that_was_lowered_may_be_over_and_grow_no_more(cluster):
    def counted(hard, used):
        status = {"hard": {"pods": hard}, "used": {"pods": used}}
        return cluster.put("resourcequotas", "q", status=status)

    assert not counted("3", "3")
    assert not counted("1", "3")
    cluster.now = MEMORY_SECONDS * 2
    assert not counted("1", "2")
    assert counted("1", "3")


def test_surge_may_be_a_share(cluster):
    rolling = {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    cluster.put("deployments", "d", spec={"replicas": 5, "strategy": rolling})
    assert not cluster.put("replicasets", "old", "Deployment/d", spec={"replicas": 5})
    assert not cluster.put("replicasets", "new", "Deployment/d", spec={"replicas": 2})
    assert cluster.put("replicasets", "new", "Deployment/d", spec={"replicas": 3})


@pytest.mark.parametrize(("going", "is_seen"), [(False, True), (True, False)])
def test_a_pod_that_is_taken_below_what_must_stay_is_seen_unless_its_namespace_goes(
    cluster, going, is_seen
):
    cluster.invariants = (Replicas(cluster.state, {Key("a", "p"): "controllers-a"}),)
    gone = {"deletionTimestamp": "now"}
    cluster.state.objects["namespaces"] = {Key("", "a"): {"metadata": gone if going else {}}}
    rolling = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    cluster.put("deployments", "d", spec={"replicas": 1, "strategy": rolling})
    cluster.put("replicasets", "r", "Deployment/d", spec={"replicas": 1})
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    assert not cluster.put("pods", "p", "ReplicaSet/r", status=ready)
    cluster.now = MEMORY_SECONDS * 2
    assert bool(cluster.put("pods", "p", "ReplicaSet/r", gone, status=ready)) == is_seen


def test_histories_that_are_too_long_are_seen(cluster):
    cluster.put("statefulsets", "s", spec={"replicas": 0, "revisionHistoryLimit": 1})
    for number in range(3):
        assert not list(unkept(cluster.state))
        cluster.put("controllerrevisions", f"r-{number}", "StatefulSet/s")
    cluster.put("controllerrevisions", "r-3", "StatefulSet/s")
    assert list(unkept(cluster.state))


def test_claims_that_are_missing_are_seen(cluster):
    templates = {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}
    cluster.put("statefulsets", "s", spec={"replicas": 1, **templates})
    assert "no claims" in next(unkept(cluster.state))
    cluster.put("persistentvolumeclaims", "data-s-0")
    cluster.put("persistentvolumeclaims", "data-s-1")
    assert not list(unkept(cluster.state))


def test_a_job_that_outlives_its_time_and_wrong_endpoints_are_seen(cluster):
    over = {"conditions": [{"type": "Failed", "status": "True"}]}
    cluster.put("services", "s", spec={"selector": {"app": "x"}})
    assert not list(unkept(cluster.state))
    cluster.put("endpoints", "s", subsets=[{"addresses": [{"ip": "10.0.0.1"}]}])
    cluster.put("jobs", "j", spec={"ttlSecondsAfterFinished": 0}, status=over)
    assert ["Job" in said or "Endpoints" in said for said in unkept(cluster.state)] == [True, True]


def test_a_strike_is_known_by_its_name():
    scene = sweep.named("rollout/controllers-a/part/17")
    assert sweep.name_of(scene) == "rollout/controllers-a/part/17"
    assert sweep.STANDBY in scene.members
    with pytest.raises(KeyError):
        sweep.named("rollout/controllers-a/tickle/17")
