"""Which pods a node refuses at its door."""

import msgspec
import pytest

from pilothouse.services.kubelet.pod.views import Container, Pod, Spec
from pilothouse.services.kubelet.resources import admission, preemption
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.pods import ContainerPort, Resources
from pilothouse.services.machinery.objects import Metadata

ALLOCATABLE = {"cpu": "2", "memory": "1Gi", "pods": "3"}


def pod(name="p", *, port=0, ip="", protocol="TCP", status=None, **requests):
    ports = (ContainerPort(host_port=port, host_ip=ip, protocol=protocol),) if port else ()
    container = Container(name="c", ports=ports, resources=Resources(requests=requests))
    return Pod(
        metadata=Metadata(name=name, uid=name), spec=Spec(containers=(container,)),
        status=status or {},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mine", "theirs", "free"),
    [
        (pod(port=80), pod(port=80), False),
        (pod(port=80), pod(port=81), True),
        (pod(port=80), pod(port=80, protocol="UDP"), True),
        (pod(port=80, ip="10.0.0.1"), pod(port=80, ip="10.0.0.2"), True),
        (pod(port=80, ip="10.0.0.1"), pod(port=80, ip="10.0.0.1"), False),
        (pod(port=80, ip="10.0.0.1"), pod(port=80, ip="0.0.0.0"), False),
        (pod(), pod(), True),
    ],
)
def test_a_port_of_the_node_is_had_by_one(mine, theirs, free):
    rejection = admission.judge(mine, ALLOCATABLE, [theirs])
    assert (rejection is None) == free
    if rejection is not None:
        assert rejection.reason == "NodePorts"


def test_no_more_than_the_node_has():
    assert admission.judge(pod(cpu="1500m"), ALLOCATABLE, [pod(cpu="500m")]) is None
    rejection = admission.judge(pod(cpu="1501m"), ALLOCATABLE, [pod(cpu="500m")])
    assert rejection.reason == "OutOfcpu"
    assert rejection.message == (
        "Pod was rejected: Node didn't have enough resource: cpu,"
        " requested: 1501, used: 500, capacity: 2000"
    )
    assert admission.judge(pod(memory="2Gi"), ALLOCATABLE, []).reason == "OutOfmemory"
    assert admission.judge(pod(), ALLOCATABLE, [pod()] * 3).reason == "OutOfpods"
    assert admission.judge(pod(cpu="9", memory="9Gi"), {}, [pod()] * 9) is None


def test_what_has_been_let_in_is_not_judged_again():
    assert admission.is_new(pod())
    assert not admission.is_new(pod(status={"startTime": "2026-01-01T00:00:00Z"}))


def node_of(*taints, **labels):
    return msgspec.convert(
        {"metadata": {"name": "n1", "labels": labels}, "spec": {"taints": list(taints)}}, Node
    )


def spec_of(**spec):
    body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}], **spec}}
    return msgspec.convert(body, Pod)


def affine(key, operator, *values):
    term = {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return spec_of(affinity={"nodeAffinity": required})


TAINT = {"key": "k", "value": "v", "effect": "NoExecute"}
TOLERATION = {"key": "k", "operator": "Equal", "value": "v", "effect": "NoExecute"}


@pytest.mark.parametrize(
    ("asked", "node", "reason"),
    [
        (spec_of(), node_of(), None),
        (spec_of(nodeSelector={"disk": "ssd"}), node_of(disk="ssd"), None),
        (spec_of(nodeSelector={"disk": "ssd"}), node_of(disk="hdd"), "NodeAffinity"),
        (affine("disk", "In", "ssd"), node_of(disk="ssd"), None),
        (affine("disk", "NotIn", "ssd"), node_of(disk="ssd"), "NodeAffinity"),
        (spec_of(), node_of(TAINT), "TaintToleration"),
        (spec_of(), node_of(TAINT | {"effect": "NoSchedule"}), None),
        (spec_of(tolerations=[TOLERATION]), node_of(TAINT), None),
        (spec_of(os={"name": "windows"}), node_of(), "PodOSNotSupported"),
        (spec_of(os={"name": "linux"}), node_of(), None),
    ],
)
def test_a_pod_belongs_on_the_node(asked, node, reason):
    rejection = admission.misplaced(asked, node)
    assert (rejection.reason if rejection else None) == reason
    if reason == "NodeAffinity":
        assert rejection.message == (
            "Pod was rejected: Predicate NodeAffinity failed: "
            "node(s) didn't match Pod's node affinity/selector"
        )


def preempted(critical, others):
    lacking = admission.shortfalls(critical, ALLOCATABLE | {"pods": "9"}, others)
    found = preemption.victims(critical, others, lacking)
    return None if found is None else {one.metadata.name for one in found}


def critical(**requests):
    made = pod("critical", **requests)
    return msgspec.structs.replace(
        made, spec=msgspec.structs.replace(made.spec, priority=2_000_000_000)
    )


def test_a_critical_pod_makes_few_and_small_pods_leave():
    small, middle, large = pod("s", cpu="200m"), pod("m", cpu="600m"), pod("l", cpu="1100m")
    others = [small, middle, large, pod("modest")]
    assert preempted(critical(cpu="300m"), others) == {"s"}, "100m were free"
    assert preempted(critical(cpu="700m"), others) == {"m"}
    assert preempted(critical(cpu="1200m"), others) == {"l"}
    assert preempted(critical(cpu="1300m"), others) == {"l", "s"}
    assert preempted(critical(cpu="3"), others) is None
    assert preempted(critical(cpu="700m"), [*others[:1], critical(cpu="1700m")]) is None


def test_too_many_pods_cost_the_most_modest():
    crowd = [pod("a", cpu="100m"), pod("b"), pod("c", cpu="100m")]
    lacking = admission.shortfalls(critical(cpu="100m"), ALLOCATABLE, crowd)
    assert [short.resource for short in lacking] == ["pods"]
    assert preemption.victims(critical(cpu="100m"), crowd, lacking) == [crowd[1]]
