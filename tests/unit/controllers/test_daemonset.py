"""DaemonSets: single steps as values, and whole rollouts through a pure simulation."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.services.controllers.adapters.workload import daemonsets as adapter
from pilothouse.services.controllers.workload import daemonset
from pilothouse.services.controllers.workload.daemons import steps
from pilothouse.services.controllers.workload.daemonset import Observed
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import nodes, pods, revisions
from pilothouse.services.machinery.kinds.affinity import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
)
from pilothouse.services.machinery.kinds.daemonsets import (
    GENERATION,
    DaemonSet,
    DaemonSetSpec,
    RollingUpdate,
    UpdateStrategy,
)
from pilothouse.services.machinery.kinds.nodes import Node, Taint
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.revisions import POD_HASH, ControllerRevision
from pilothouse.services.machinery.labels import LabelSelector, LabelSelectorRequirement
from pilothouse.services.machinery.objects import Metadata, OwnerReference
from pilothouse.services.runtime.control.patience import Patience

NOW = 1_000_000.0
LABELS = {"app": "agent"}
GOING = "2026-01-01T00:00:00Z"
OWNER = OwnerReference(
    api_version="apps/v1", kind="DaemonSet", name="agent", uid="set", controller=True
)
replace = msgspec.structs.replace


def template(image, **spec):
    said = {
        "metadata": {"labels": LABELS},
        "spec": {"containers": [{"name": "c", "image": image}], **spec},
    }
    return msgspec.Raw(msgspec.json.encode(said))


def wanting(image="v1", *, unavailable=1, surge=0, strategy="RollingUpdate", **more):
    rolling = RollingUpdate(max_unavailable=unavailable, max_surge=surge)
    spec = more.pop("spec", {})
    return DaemonSet(
        metadata=Metadata(name="agent", uid="set", generation=2, annotations={GENERATION: "4"}),
        spec=DaemonSetSpec(
            selector=LabelSelector(match_labels=LABELS),
            update_strategy=UpdateStrategy(
                type=strategy, rolling_update=rolling if strategy == "RollingUpdate" else None
            ),
            template=template(image, **spec),
            **more,
        ),
    )


def kept(image, number, name=""):
    return ControllerRevision(
        metadata=Metadata(
            name=f"agent-{name or image}",
            labels={**LABELS, POD_HASH: name or image},
            owner_references=(OWNER,),
        ),
        revision=number,
        data=msgspec.Raw(revisions.snapshot(template(image))),
    )


HISTORY = (kept("v1", 1), kept("v2", 2))


def node(name, *taints, **labels):
    found = tuple(Taint(key=key, effect=effect) for key, effect in taints)
    return Node(metadata=Metadata(name=name, labels=labels), spec=nodes.Spec(taints=found))


def bound(name):
    wanted = LabelSelectorRequirement(key="metadata.name", operator="In", values=(name,))
    terms = NodeSelector(node_selector_terms=(NodeSelectorTerm(match_fields=(wanted,)),))
    return Affinity(node_affinity=NodeAffinity(required=terms))


def pod(name, on, image="v1", *, ready_ago=100.0, phase="Running", going=False, scheduled=True):
    told = ()
    if ready_ago is not None and phase == "Running":
        since = timestamps.render(NOW - ready_ago)
        told = (Condition(type="Ready", status="True", last_transition_time=since),)
    return Pod(
        metadata=Metadata(
            name=name,
            uid=name,
            labels={**LABELS, POD_HASH: image},
            owner_references=(OWNER,),
            deletion_timestamp=GOING if going else None,
        ),
        spec=pods.Spec(node_name=on if scheduled else "", affinity=bound(on)),
        status=pods.Status(phase=phase, conditions=told),
    )


def look(wanted, there, *members, history=HISTORY, held=None):
    return daemonset.plan(wanted, Observed(there, members, history), held or {}, NOW)


def deleted(todo):
    return [item.metadata.name for item in todo.step.delete]


def test_every_node_gets_one():
    todo = look(wanting(), [node("a"), node("b")], pod("p", "a"))
    assert todo.step.create == ("b",)
    waiting = look(wanting(), [node("a")], pod("p", "a", scheduled=False, phase="Pending"))
    assert (waiting.step.create, deleted(waiting)) == ((), [])


def test_of_two_on_a_node_the_scheduled_one_stays():
    early = pod("early", "a", scheduled=False, phase="Pending")
    todo = look(wanting(), [node("a")], early, pod("late", "a"))
    assert deleted(todo) == ["early"]


@pytest.mark.parametrize(
    ("spec", "there", "wanted"),
    [
        ({"nodeSelector": {"disk": "ssd"}}, node("a"), False),
        ({"nodeSelector": {"disk": "ssd"}}, node("a", disk="ssd"), True),
        ({"nodeName": "b"}, node("a"), False),
        ({}, node("a", ("mine", "NoSchedule")), False),
        ({}, node("a", ("mine", "PreferNoSchedule")), True),
        ({"tolerations": [{"operator": "Exists"}]}, node("a", ("mine", "NoExecute")), True),
        ({}, node("a", ("node.kubernetes.io/not-ready", "NoExecute")), True),
        ({}, node("a", ("node.kubernetes.io/unreachable", "NoExecute")), True),
        ({}, node("a", ("node.kubernetes.io/unschedulable", "NoSchedule")), True),
        ({}, node("a", ("node.kubernetes.io/disk-pressure", "NoSchedule")), True),
        ({}, node("a", ("node.kubernetes.io/network-unavailable", "NoSchedule")), False),
        (
            {"hostNetwork": True},
            node("a", ("node.kubernetes.io/network-unavailable", "NoSchedule")),
            True,
        ),
    ],
)
def test_where_its_pods_belong(spec, there, wanted):
    todo = look(wanting(spec=spec), [there], history=())
    assert todo.step.create == (("a",) if wanted else ())
    assert todo.status.desired_number_scheduled == wanted


def test_required_node_affinity_is_heeded():
    wanted = {"key": "disk", "operator": "In", "values": ["ssd"]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [wanted]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    there = [node("a", disk="ssd"), node("b", disk="tape")]
    assert look(wanting(spec={"affinity": affinity}), there).step.create == ("a",)


def test_pods_go_from_nodes_that_are_no_longer_for_them():
    stateful = wanting(spec={"nodeSelector": {"color": "blue"}})
    todo = look(stateful, [node("a", color="green")], pod("p", "a"), history=())
    assert deleted(todo) == ["p"]
    assert todo.status.number_misscheduled == 1
    tainted = look(wanting(), [node("a", ("mine", "NoSchedule"))], pod("p", "a"))
    assert deleted(tainted) == []
    assert tainted.status.number_misscheduled == 1


def test_pods_that_wait_for_a_node_that_is_gone_are_deleted():
    lost = pod("p", "gone", scheduled=False, phase="Pending")
    assert deleted(look(wanting(), [], lost)) == ["p"]
    assert deleted(look(wanting(), [], pod("q", "gone"))) == []


def test_a_failed_pod_is_replaced_but_not_in_a_hurry():
    failed = pod("p", "a", phase="Failed")
    todo = look(wanting(), [node("a")], failed)
    assert (deleted(todo), todo.step.ended) == (["p"], (("a", failed),))
    held = look(wanting(), [node("a")], failed, held={"a": 3.0})
    assert (deleted(held), held.again_after) == ([], 3.0)
    ended = look(wanting(), [node("a")], pod("p", "a", phase="Succeeded"))
    assert deleted(ended) == ["p"]
    gone = look(wanting(), [node("a")], pod("p", "a", phase="Failed", going=True))
    assert gone.step.create == ("a",)


def test_patience_grows_with_each_failure():
    patience = Patience()
    assert patience.held("t", NOW) == {}
    waits = []
    for _ in range(12):
        patience.failed("t", "a", NOW)
        waits.append(patience.held("t", NOW)["a"])
    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] == 900
    assert patience.held("t", NOW + 900) == {}
    assert patience.held("other", NOW) == {}
    patience.held("t", NOW + 10_000)
    patience.failed("t", "a", NOW + 10_000)
    assert patience.held("t", NOW + 10_000) == {"a": 1}


THREE = [node("a"), node("b"), node("c")]


def test_an_update_replaces_as_many_as_may_be_missing():
    old = [pod(f"old-{at}", at) for at in "abc"]
    assert deleted(look(wanting("v2"), THREE, *old)) == ["old-a"]
    assert deleted(look(wanting("v2", unavailable="50%"), THREE, *old)) == ["old-a", "old-b"]
    halfway = [pod("new-a", "a", "v2", ready_ago=None), *old[1:]]
    assert deleted(look(wanting("v2"), THREE, *halfway)) == []
    onwards = [pod("new-a", "a", "v2"), *old[1:]]
    assert deleted(look(wanting("v2"), THREE, *onwards)) == ["old-b"]


def test_old_pods_that_do_not_serve_are_replaced_at_once():
    old = [pod(f"old-{at}", at, ready_ago=None) for at in "abc"]
    assert deleted(look(wanting("v2"), THREE, *old)) == ["old-a", "old-b", "old-c"]


def test_on_delete_replaces_nothing_by_itself():
    old = [pod(f"old-{at}", at) for at in "abc"]
    assert deleted(look(wanting("v2", strategy="OnDelete"), THREE, *old)) == []


def test_with_surge_new_pods_start_beside_old_ones():
    wanted = wanting("v2", unavailable=0, surge=1)
    old = [pod(f"old-{at}", at) for at in "abc"]
    assert look(wanted, THREE, *old).step.create == ("a",)
    beside = [*old, pod("new-a", "a", "v2", ready_ago=None)]
    waiting = look(wanted, THREE, *beside)
    assert (waiting.step.create, deleted(waiting)) == ((), [])
    serving = look(wanted, THREE, *old, pod("new-a", "a", "v2"))
    assert (serving.step.create, deleted(serving)) == ((), ["old-a"])


def test_with_surge_an_idle_old_pod_does_not_wait_its_turn():
    wanted = wanting("v2", unavailable=0, surge=1)
    idle = [pod(f"old-{at}", at, ready_ago=None) for at in "abc"]
    assert look(wanted, THREE, *idle).step.create == ("a", "b", "c")


def test_with_surge_a_going_pod_is_not_waited_for():
    wanted = wanting("v1", unavailable=0, surge=1)
    todo = look(wanted, [node("a")], pod("p", "a", going=True))
    assert todo.step.create == ("a",)
    plain = look(wanting("v1"), [node("a")], pod("p", "a", going=True))
    assert plain.step.create == ()


def test_bounds_are_never_both_nothing():
    assert steps.bounds(wanting(unavailable=0, surge=0), 3) == steps.Bounds(1, 0)
    assert steps.bounds(wanting(unavailable="10%", surge=0), 3) == steps.Bounds(1, 0)
    assert steps.bounds(wanting(unavailable=0, surge="34%"), 3) == steps.Bounds(0, 2)
    assert steps.bounds(wanting(strategy="OnDelete"), 3) == steps.Bounds(0, 0)


def test_rolling_back_leaves_pods_that_were_not_reached():
    history = (kept("v1", 1), kept("v2", 2))
    mixed = [pod("old-a", "a"), pod("old-b", "b"), pod("bad-c", "c", "v2", ready_ago=None)]
    todo = look(wanting("v1"), THREE, *mixed, history=history)
    assert deleted(todo) == ["bad-c"]
    assert todo.history.wanted.number == 3
    assert todo.mark == "v1"


def test_revisions_of_pods_are_kept_beyond_the_limit():
    history = [kept(f"v{number}", number) for number in range(1, 6)]
    wanted = wanting("v5", revision_history_limit=1)
    todo = look(wanted, [node("a")], pod("p", "a", "v1"), history=history)
    assert [item.metadata.name for item in todo.history.delete] == [
        "agent-v2",
        "agent-v3",
        "agent-v4",
    ]


def test_revisions_that_say_the_same_become_one():
    history = (kept("v1", 1), kept("v1", 2, name="copy"))
    todo = look(wanting("v1"), [node("a")], pod("p", "a", "v1"), history=history)
    assert todo.mark == "copy"
    assert [item.metadata.name for item in todo.history.delete] == ["agent-v1"]
    assert [item.metadata.name for item in todo.remark] == ["p"]
    assert deleted(todo) == []


def test_the_status_counts_nodes_by_their_senior_pod():
    wanted = wanting("v2", unavailable=0, surge=2, min_ready_seconds=30)
    members = [
        pod("old-a", "a"),
        pod("pending-a", "a", "v2", scheduled=False, phase="Pending"),
        pod("new-b", "b", "v2", ready_ago=10),
    ]
    todo = look(wanted, [*THREE, node("d", ("mine", "NoSchedule"))], *members, pod("x", "d"))
    status = todo.status
    assert (status.desired_number_scheduled, status.current_number_scheduled) == (3, 2)
    assert (status.number_ready, status.number_available, status.number_unavailable) == (2, 1, 2)
    assert (status.updated_number_scheduled, status.number_misscheduled) == (1, 1)
    assert (status.observed_generation, todo.again_after) == (2, 20)


def test_a_pod_is_made_for_one_node_and_stays_through_its_troubles():
    own = {"key": "mine", "operator": "Exists"}
    same = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute",
            "tolerationSeconds": 5}  # fmt: skip
    preferred = [{"weight": 1, "preference": {}}]
    affinity = {
        "podAffinity": {"x": 1},
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": preferred,
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}]},
        },
    }
    wanted = wanting(spec={"tolerations": [own, same], "affinity": affinity})
    body = adapter.pod_body(wanted, "a", "v1")
    assert body["metadata"]["labels"] == {**LABELS, POD_HASH: "v1", "pod-template-generation": "4"}
    assert [item["key"].rpartition("/")[2] for item in body["spec"]["tolerations"]] == [
        "mine", "not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure",
        "unschedulable",
    ]  # fmt: skip
    assert "tolerationSeconds" not in body["spec"]["tolerations"][1]
    of_node = body["spec"]["affinity"]["nodeAffinity"]
    assert of_node["preferredDuringSchedulingIgnoredDuringExecution"] == preferred
    named = {"key": "metadata.name", "operator": "In", "values": ["a"]}
    assert of_node["requiredDuringSchedulingIgnoredDuringExecution"] == {
        "nodeSelectorTerms": [{"matchFields": [named]}]
    }
    assert body["spec"]["affinity"]["podAffinity"] == {"x": 1}


class Simulation:
    """Nodes and pods that come up, fail and go as the rules of a test say."""

    def __init__(self, wanted, there):
        self.wanted = wanted
        self.nodes = there
        self.members = {}
        self.history = []
        self.born = 0

    def step(self):
        todo = look(self.wanted, self.nodes, *self.members.values(), history=self.history)
        for item in todo.step.delete:
            metadata = replace(item.metadata, deletion_timestamp=GOING)
            self.members[item.metadata.name] = replace(item, metadata=metadata)
        for at in todo.step.create:
            self.born += 1
            name = f"p{self.born:03}"
            self.members[name] = pod(name, at, todo.mark, ready_ago=None)
        wanted = todo.history.wanted
        if revisions.is_new(wanted):
            self.remember(wanted)
        gone = {item.metadata.name for item in todo.history.delete}
        self.history = [item for item in self.history if item.metadata.name not in gone]
        return todo

    def remember(self, wanted):
        others = [item for item in self.history if item is not wanted.present]
        born = ControllerRevision(
            metadata=Metadata(
                name=wanted.name,
                labels={**LABELS, POD_HASH: wanted.ending},
                owner_references=(OWNER,),
            ),
            revision=wanted.number,
            data=msgspec.Raw(wanted.data),
        )
        self.history = [*others, born]

    def set(self, name, *, ready_ago=100.0, phase="Running"):
        before = self.members.get(name)
        if before is not None and not before.metadata.deleting:
            image = before.metadata.labels[POD_HASH]
            self.members[name] = pod(
                name, before.spec.node_name, image, ready_ago=ready_ago, phase=phase
            )

    def serving(self):
        return {
            item.spec.node_name
            for item in self.members.values()
            if pods.is_ready(item) and not item.metadata.deleting
        }

    def settle(self):
        for _ in range(200):
            before = (dict(self.members), list(self.history))
            todo = self.step()
            for name, item in list(self.members.items()):
                if item.metadata.deleting:
                    del self.members[name]
                else:
                    self.set(name)
            if before == (self.members, self.history):
                assert (todo.step.create, todo.step.delete) == ((), ())
                return todo.status
        raise AssertionError("it never comes to rest")


ACTS = st.lists(
    st.tuples(st.sampled_from(["step", "end", "serve", "idle", "fail"]), st.integers(1, 12)),
    max_size=40,
)


@settings(deadline=None)
@given(st.integers(0, 5), st.integers(0, 3), st.booleans(), ACTS)
def test_whatever_happens_it_ends_well(number, most, surging, acts):
    limits = {"unavailable": 0, "surge": max(most, 1)} if surging else {"unavailable": most}
    run = Simulation(wanting(**limits), [node(f"n{at}") for at in range(number)])
    run.settle()
    run.wanted = wanting("v2", **limits)
    for act, at in acts:
        name = f"p{at:03}"
        if act == "step":
            watch_limits(run, max(most, 1), surging=surging)
        elif act == "end":
            if name in run.members and run.members[name].metadata.deleting:
                del run.members[name]
        elif act == "fail":
            run.set(name, phase="Failed")
        else:
            run.set(name, ready_ago=100.0 if act == "serve" else None)
    status = run.settle()
    assert sorted(item.spec.node_name for item in run.members.values()) == [
        f"n{at}" for at in range(number)
    ]
    assert status.updated_number_scheduled == status.number_available == number


def watch_limits(run, most, *, surging):
    """A step takes no serving pod from more nodes than the limit; surging, from none."""
    before = run.serving()
    todo = run.step()
    lost = before - run.serving()
    if surging:
        assert not lost
        doubled = set(todo.step.create) & before
        assert len(doubled) <= most
    elif lost:
        assert len(run.nodes) - len(run.serving()) <= most
