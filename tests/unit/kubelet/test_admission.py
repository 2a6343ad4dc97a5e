"""Which pods a node refuses at its door."""

import pytest

from pilothouse.services.kubelet.pod.views import Container, Pod, Spec
from pilothouse.services.kubelet.resources import admission
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
