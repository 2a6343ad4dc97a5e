"""Who has to leave a tainted device, when, and what the rule that tainted it says."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers.devices import devicetaints, taintrules
from pilothouse.services.controllers.devices.devicetaints import Plan, Tainted
from pilothouse.services.controllers.devices.taintrules import Reach
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds import devices
from pilothouse.services.machinery.kinds.devices import (
    DeviceTaintRule,
    RuleSpec,
    Taint,
    TaintSelector,
)
from pilothouse.services.machinery.kinds.pods import Pod, Spec, Toleration
from pilothouse.services.machinery.objects import Metadata

NOW = 1_900_000_000.0
replace = msgspec.structs.replace
TAINT = Taint(key="broken", value="yes", effect="NoExecute")
POD = Pod(metadata=Metadata(name="p", namespace="n"), spec=Spec(node_name="node-1"))


def tolerating(seconds=None, key="broken", operator="Exists", value="", effect="NoExecute"):
    return Toleration(
        key=key, operator=operator, value=value, effect=effect, toleration_seconds=seconds
    )


def tainted(*tolerations, since=NOW, rule=""):
    return Tainted(TAINT, since, tolerations, rule)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ([], Plan()),
        ([tainted()], Plan(evict=True)),
        ([tainted(rule="r")], Plan(evict=True, rules=frozenset("r"))),
        ([tainted(since=NOW + 9)], Plan(again_after=9)),
        ([tainted(tolerating())], Plan()),
        ([tainted(tolerating(effect=""))], Plan()),
        ([tainted(tolerating(effect="NoSchedule"))], Plan(evict=True)),
        ([tainted(tolerating(key="other"))], Plan(evict=True)),
        ([tainted(tolerating(operator="Equal", value="yes"))], Plan()),
        ([tainted(tolerating(operator="Equal", value="no"))], Plan(evict=True)),
        ([tainted(tolerating(60))], Plan(again_after=60)),
        ([tainted(tolerating(60), tolerating(20))], Plan(again_after=20)),
        ([tainted(tolerating(60), tolerating())], Plan()),
        ([tainted(tolerating(-5))], Plan(evict=True)),
        ([tainted(tolerating(60), since=NOW - 60)], Plan(evict=True)),
        ([tainted(tolerating(60)), tainted(rule="r")], Plan(evict=True, rules=frozenset("r"))),
    ],
)
def test_who_has_to_go_and_when(found, wanted):
    assert devicetaints.plan(POD, found, NOW) == wanted


def test_who_goes_already_or_is_nowhere_is_left_alone():
    going = replace(POD, metadata=replace(POD.metadata, deletion_timestamp="2026-01-01T00:00:00Z"))
    nowhere = replace(POD, spec=Spec())
    assert devicetaints.plan(going, [tainted()], NOW) == Plan()
    assert devicetaints.plan(nowhere, [tainted()], NOW) == Plan()


@given(st.lists(st.tuples(st.none() | st.integers(-5, 99), st.integers(-99, 9)), max_size=5))
def test_it_goes_when_it_was_said_to(found):
    items = [tainted(tolerating(limit), since=NOW + since) for limit, since in found]
    todo = devicetaints.plan(POD, items, NOW)
    if todo.again_after is not None:
        assert not todo.evict
        assert not devicetaints.plan(POD, items, NOW + todo.again_after - 0.5).evict
        assert devicetaints.plan(POD, items, NOW + todo.again_after).evict


@pytest.mark.parametrize(
    ("selector", "wanted"),
    [
        (None, False),
        (TaintSelector(), True),
        (TaintSelector(driver="d", pool="p", device="x"), True),
        (TaintSelector(driver="d", device="y"), False),
    ],
)
def test_a_rule_selects(selector, wanted):
    rule = DeviceTaintRule(spec=RuleSpec(selector=selector, taint=TAINT))
    assert devices.selects(rule, "d", "p", "x") is wanted


def rule(effect="NoExecute"):
    return DeviceTaintRule(
        metadata=Metadata(name="r", generation=2),
        spec=RuleSpec(taint=replace(TAINT, effect=effect)),
    )


@pytest.mark.parametrize(
    ("effect", "reach", "status", "reason", "message"),
    [
        ("NoExecute", Reach(), "False", "NotStarted", ""),
        (
            "NoExecute",
            Reach(waiting=("a",), evicted=1),
            "True",
            "PodsPendingEviction",
            "1 pod needs to be evicted in 1 namespace. "
            "1 pod evicted since starting the controller.",
        ),
        (
            "NoExecute",
            Reach(waiting=("a", "b", "a")),
            "True",
            "PodsPendingEviction",
            "3 pods need to be evicted in 2 different namespaces.",
        ),
        (
            "NoExecute",
            Reach(evicted=2),
            "False",
            "Completed",
            "2 pods evicted since starting the controller.",
        ),
        (
            "NoSchedule",
            Reach(),
            "False",
            "OtherEffect",
            "Eviction only happens for the NoExecute effect.",
        ),
        (
            "None",
            Reach(published=1, allocated=2, waiting=("a", "a")),
            "False",
            "NoEffect",
            "1 published device selected. 2 allocated devices selected. 2 pods would be evicted in "
            "1 namespace if the effect was NoExecute. This information will not be updated again. "
            "Recreate the DeviceTaintRule to trigger an update.",
        ),
    ],
)
def test_what_a_rule_says(effect, reach, status, reason, message):
    found = taintrules.plan(rule(effect), reach, NOW).condition
    assert (found.status, found.reason, found.message) == (status, reason, message)
    assert found.type == "EvictionInProgress"
    assert found.observed_generation == 2


@given(
    st.sampled_from(["NoExecute", "NoSchedule", "None"]),
    st.lists(st.sampled_from("abc"), max_size=3),
    st.integers(0, 3),
)
def test_it_is_said_once_and_not_too_often(effect, waiting, evicted):
    reach = Reach(waiting=tuple(waiting), evicted=evicted)
    it = rule(effect)
    condition = taintrules.plan(it, reach, NOW).condition
    it = replace(it, status=devices.RuleStatus(conditions=(condition,)))
    assert taintrules.plan(it, Reach(evicted=9), NOW + 1).condition is None
    later = NOW + taintrules.STATUS_SECONDS + 1
    assert taintrules.plan(it, reach, later).condition is None
    news = taintrules.plan(it, Reach(evicted=9), later).condition
    if effect == "None":
        assert news is None
    elif news is not None:
        assert timestamps.parse(news.last_transition_time) == later
