"""ResourceQuotas: what is counted, under which scopes, and when the status is written."""

from pilothouse.services.controllers.policy import resourcequota
from pilothouse.services.controllers.policy.resourcequota import (
    CHARGED_SECONDS,
    ResourceQuotaController,
    counted,
    plan,
)
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.objects import Key

NOW = 1_800_000_000.0


def quota(hard, status=None, **spec):
    return {"metadata": {"name": "q"}, "spec": {"hard": hard, **spec}, "status": status or {}}


def pod(requests=None, phase="Running", **spec):
    resources = {"requests": requests or {}}
    containers = [{"name": "c", "resources": resources}]
    return {"spec": {"containers": containers, **spec}, "status": {"phase": phase}}


PODS = ("", "pods")


def used(hard, documents, kind=PODS, **spec):
    todo = plan(quota(hard, **spec), {kind: documents})
    assert todo.status is not None
    return todo.status["used"]


def test_the_kinds_behind_the_words():
    hard = dict.fromkeys(
        ["pods", "requests.cpu", "services.nodeports", "count/deployments.apps", "configmaps",
         "gold.storageclass.storage.k8s.io/requests.storage"], "1"
    )  # fmt: skip
    assert counted(quota(hard)) == {
        PODS, ("", "services"), ("apps", "deployments"), ("", "configmaps"),
        ("", "persistentvolumeclaims"),
    }  # fmt: skip


def test_pods_that_have_ended_are_only_counted_as_objects():
    hard = {"pods": "5", "count/pods": "5", "requests.memory": "1Gi"}
    found = [pod({"memory": "252Mi"}), pod({"memory": "10Mi"}, phase="Succeeded")]
    assert used(hard, found) == {"count/pods": "2", "pods": "1", "requests.memory": "252Mi"}


def test_init_containers_and_extended_resources():
    init = [{"name": "i", "resources": {"requests": {"cpu": "2"}}}]
    found = [pod({"cpu": "500m", "example.com/dongle": "3"}, initContainers=init)]
    hard = {"cpu": "9", "requests.example.com/dongle": "9", "limits.cpu": "9"}
    assert used(hard, found) == {"cpu": "2", "requests.example.com/dongle": "3", "limits.cpu": "0"}


def test_scopes():
    best, other = pod(), pod({"cpu": "1"}, activeDeadlineSeconds=9)
    for scope, count in (("BestEffort", "1"), ("NotBestEffort", "1"), ("Terminating", "1")):
        assert used({"pods": "9"}, [best, other], scopes=[scope]) == {"pods": count}
    first = {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
    chosen = [pod(priorityClassName="high"), pod(priorityClassName="low"), pod()]
    selector = {"matchExpressions": [first]}
    assert used({"pods": "9"}, chosen, scopeSelector=selector) == {"pods": "1"}


def test_services_and_claims():
    service = {"spec": {"type": "LoadBalancer", "ports": [{}, {}]}}
    hard = {"services": "9", "services.nodeports": "9", "services.loadbalancers": "9"}
    assert used(hard, [service], ("", "services")) == {
        "services": "1", "services.loadbalancers": "1", "services.nodeports": "2",
    }  # fmt: skip
    claim = {"spec": {"storageClassName": "gold", "resources": {"requests": {"storage": "1Gi"}}}}
    name = "gold.storageclass.storage.k8s.io/persistentvolumeclaims"
    hard = {name: "9", "requests.storage": "9Gi"}
    assert used(hard, [claim], ("", "persistentvolumeclaims")) == {
        name: "1", "requests.storage": "1Gi",
    }  # fmt: skip


def test_a_balanced_service_without_ports_of_nodes_takes_those_it_names():
    spec = {"type": "LoadBalancer", "ports": [{"nodePort": 30001}, {}]}
    spec["allocateLoadBalancerNodePorts"] = False
    hard = {"services.nodeports": "9"}
    assert used(hard, [{"spec": spec}], ("", "services")) == {"services.nodeports": "1"}
    plain = {"spec": {"type": "ClusterIP", "ports": [{"nodePort": 30001}]}}
    assert used(hard, [plain], ("", "services")) == {"services.nodeports": "0"}


CLAIMS = ("", "persistentvolumeclaims")


def claim(size, *, allocated=None, **said):
    found = {"spec": {"resources": {"requests": {"storage": size}}}, **said}
    if allocated:
        found["status"] = {"allocatedResources": {"storage": allocated}}
    return found


def test_a_claim_counts_with_the_most_that_it_has_in_whole_bytes():
    hard = {"requests.storage": "9Gi"}
    assert used(hard, [claim("1Gi", allocated="3Gi")], CLAIMS) == {"requests.storage": "3Gi"}
    assert used(hard, [claim("2Gi", allocated="1Gi")], CLAIMS) == {"requests.storage": "2Gi"}
    assert used(hard, [claim("100m")], CLAIMS) == {"requests.storage": "1"}
    unsaid = {"spec": {}, "status": {"allocatedResources": {"storage": "1Gi"}}}
    assert used(hard, [unsaid], CLAIMS) == {"requests.storage": "0"}


def test_a_class_of_storage_may_be_an_annotation():
    noted = {"annotations": {"volume.beta.kubernetes.io/storage-class": "silver"}}
    name = "silver.storageclass.storage.k8s.io/requests.storage"
    assert used({name: "9Gi"}, [claim("1Gi", metadata=noted)], CLAIMS) == {name: "1Gi"}


def test_claims_fall_under_every_class_of_attributes_they_have_to_do_with():
    moving = claim("1Gi") | {
        "status": {
            "currentVolumeAttributesClassName": "old",
            "modifyVolumeStatus": {"targetVolumeAttributesClassName": "new"},
        }
    }
    plain, hard = claim("1Gi"), {"persistentvolumeclaims": "9"}
    for operator, values, count in (
        ("Exists", None, "1"), ("DoesNotExist", None, "1"), ("In", ["old"], "1"),
        ("In", ["new", "x"], "1"), ("In", ["x"], "0"), ("NotIn", ["old"], "2"),
        ("NotIn", ["old", "new"], "1"),
    ):  # fmt: skip
        wanted = {"scopeName": "VolumeAttributesClass", "operator": operator, "values": values}
        selector = {"matchExpressions": [wanted]}
        found = used(hard, [moving, plain], CLAIMS, scopeSelector=selector)
        assert found == {"persistentvolumeclaims": count}, (operator, values)


def test_devices_count_by_class_the_worst_choice_first():
    def request(class_, **more):
        return {"deviceClassName": class_, "allocationMode": "ExactCount", "count": 1, **more}

    requests = [
        {"exactly": request("gpu", count=2)},
        {"exactly": request("gpu")},
        {"exactly": {"deviceClassName": "net", "allocationMode": "All"}},
        {"firstAvailable": [request("gpu", count=4), request("gpu"), request("fpga", count=3)]},
    ]
    found = [{"spec": {"devices": {"requests": requests}}}]
    names = {name: f"{name}.deviceclass.resource.k8s.io/devices" for name in ("gpu", "net", "fpga")}
    hard = dict.fromkeys(names.values(), "99") | {"count/resourceclaims.resource.k8s.io": "9"}
    assert used(hard, found, ("resource.k8s.io", "resourceclaims")) == {
        names["gpu"]: "7", names["net"]: "32", names["fpga"]: "3",
        "count/resourceclaims.resource.k8s.io": "1",
    }  # fmt: skip


def test_a_pod_that_should_be_long_gone_counts_as_an_object_only():
    late = pod({"cpu": "1"})
    gone = {"deletionTimestamp": timestamps.render(NOW), "deletionGracePeriodSeconds": 30}
    late["metadata"] = gone
    hard = {"pods": "9", "count/pods": "9"}
    for seconds, count in ((29, "1"), (31, "0")):
        todo = plan(quota(hard), {PODS: [late]}, NOW + seconds)
        assert todo.status["used"] == {"pods": count, "count/pods": "1"}


def test_priority_classes_are_selected():
    found = [pod(priorityClassName="high"), pod(priorityClassName="low"), pod()]
    for operator, values, count in (
        ("Exists", None, "2"), ("DoesNotExist", None, "1"), ("In", ["high"], "1"),
        ("NotIn", ["high"], "2"),
    ):  # fmt: skip
        wanted = {"scopeName": "PriorityClass", "operator": operator, "values": values}
        selector = {"matchExpressions": [wanted]}
        assert used({"pods": "9"}, found, scopeSelector=selector) == {"pods": count}, operator


def test_pods_that_look_into_other_namespaces():
    near = {"topologyKey": "zone"}
    terms = [
        {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [near | far]}}
        for far in ({}, {"namespaces": ["other"]}, {"namespaceSelector": {}})
    ]
    preferred = {"weight": 1, "podAffinityTerm": near | {"namespaces": ["other"]}}
    anti = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [preferred]}}
    found = [pod(affinity=one) for one in (*terms, anti)]
    assert used({"pods": "9"}, found, scopes=["CrossNamespacePodAffinity"]) == {"pods": "3"}


def test_custom_kinds_and_ephemeral_storage_are_counted():
    hard = {"count/widgets.example.com": "9"}
    assert counted(quota(hard)) == {("example.com", "widgets")}
    assert used(hard, [{}, {}], ("example.com", "widgets")) == {"count/widgets.example.com": "2"}
    both = pod({"ephemeral-storage": "1Gi"})
    both["spec"]["containers"][0]["resources"]["limits"] = {"ephemeral-storage": "2Gi"}
    names = ("ephemeral-storage", "requests.ephemeral-storage", "limits.ephemeral-storage")
    wanted = {names[0]: "1Gi", names[1]: "1Gi", names[2]: "2Gi"}
    assert used(dict.fromkeys(names, "9Gi"), [both]) == wanted


def test_a_status_that_is_true_is_left_alone():
    hard = {"pods": "5"}
    todo = plan(quota(hard), {PODS: [pod()]})
    again = plan(quota(hard, todo.status), {PODS: [pod()]})
    assert again.status is None
    assert resourcequota.plan(quota({}, todo.status), {}).status == {"hard": {}, "used": {}}


class Cluster:
    """One quota of pods, and what there is to count."""

    def __init__(self, used_pods, found):
        self.seconds = 0.0
        self.revision = 1
        self.found = found
        self.status = {"hard": {"pods": "5"}, "used": {"pods": str(used_pods)}}

    def time(self):
        return NOW

    def now(self):
        return self.seconds

    async def quota(self, key):
        made = quota({"pods": "5"}, self.status)
        return {**made, "metadata": {"name": key.name, "resourceVersion": str(self.revision)}}

    async def contents(self, namespace, group, plural):
        return [pod()] * self.found

    async def write(self, quota, status):
        self.status = status
        self.revision += 1


async def test_less_is_told_only_when_it_was_found_twice():
    cluster, key = Cluster(3, found=2), Key("a", "q")
    controller = ResourceQuotaController(cluster)
    again = await controller.reconcile(key)
    assert cluster.status["used"] == {"pods": "3"}
    assert again.again_after == CHARGED_SECONDS
    cluster.seconds += CHARGED_SECONDS / 2
    await controller.reconcile(key)
    assert cluster.status["used"] == {"pods": "3"}
    cluster.revision += 1  # another was charged, and is not there yet
    cluster.seconds += CHARGED_SECONDS
    await controller.reconcile(key)
    assert cluster.status["used"] == {"pods": "3"}
    cluster.seconds += CHARGED_SECONDS
    await controller.reconcile(key)
    assert cluster.status["used"] == {"pods": "2"}


async def test_more_is_told_at_once():
    cluster = Cluster(1, found=2)
    await ResourceQuotaController(cluster).reconcile(Key("a", "q"))
    assert cluster.status["used"] == {"pods": "2"}
