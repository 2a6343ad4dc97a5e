"""Who ends with whom when the machine goes down."""

import msgspec
import pytest

from pilothouse.services.kubelet.configuration.fields import (
    Duration,
    KubeletConfiguration,
    ShutdownGrace,
)
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.shutdown import groups
from pilothouse.services.kubelet.shutdown.groups import CRITICAL, Grace


def _said(whole=0, critical=0, **more):
    return KubeletConfiguration(
        shutdown_grace_period=Duration(whole),
        shutdown_grace_period_critical_pods=Duration(critical),
        **more,
    )


def _pod(name, priority=0, grace=30):
    spec = {"priority": priority, "terminationGracePeriodSeconds": grace}
    return msgspec.convert({"metadata": {"name": name, "uid": name}, "spec": spec}, Pod)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (_said(), []),
        (_said(0, 10), []),
        (_said(30, 10), [Grace(0, 20), Grace(CRITICAL, 10)]),
        (_said(30, 0), [Grace(0, 30), Grace(CRITICAL, 0)]),
        (
            _said(
                shutdown_grace_period_by_pod_priority=(
                    ShutdownGrace(priority=100, shutdown_grace_period_seconds=5),
                    ShutdownGrace(priority=0, shutdown_grace_period_seconds=60),
                )
            ),
            [Grace(0, 60), Grace(100, 5)],
        ),
    ],
)
def test_graces(said, expected):
    assert groups.graces(said) == expected


def test_pods_go_by_priority():
    graces = [Grace(0, 20), Grace(1000, 10), Grace(CRITICAL, 5)]
    pods = [_pod("a"), _pod("low", -5), _pod("mid", 1000), _pod("high", CRITICAL + 1000)]
    found = groups.groups(graces, pods)
    assert [[pod.metadata.name for pod in group.pods] for group in found] == [
        ["a", "low"],
        ["mid"],
        ["high"],
    ]
    assert groups.together(graces) == 35
    assert [group.grace for group in groups.groups(graces, [_pod("mid", 1500)])] == [graces[1]]


def test_a_pod_has_no_more_than_its_group():
    assert groups.ending(_pod("a", grace=3), Grace(0, 20)).grace_seconds == 3
    ending = groups.ending(_pod("a", grace=300), Grace(0, 20))
    assert (ending.grace_seconds, ending.reason) == (20, "Terminated")
    assert ending.message == "Pod was terminated in response to imminent node shutdown."
