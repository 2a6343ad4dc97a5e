"""DaemonSets through many random steps and edits, of nodes too: where pods are, and how many."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.services.controllers.workload import daemonset
from pilothouse.services.controllers.workload.daemons import placing, steps
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

NOW = 1_000_000.0
LABELS = {"app": "agent"}
OWNER = OwnerReference(
    api_version="apps/v1", kind="DaemonSet", name="agent", uid="set", controller=True
)
replace = msgspec.structs.replace


def template(image):
    said = {"metadata": {"labels": LABELS}, "spec": {"nodeSelector": {"for": "us"}, "x": image}}
    return msgspec.Raw(msgspec.json.encode(said))


def bound(name):
    wanted = LabelSelectorRequirement(key="metadata.name", operator="In", values=(name,))
    terms = NodeSelector(node_selector_terms=(NodeSelectorTerm(match_fields=(wanted,)),))
    return Affinity(node_affinity=NodeAffinity(required=terms))


def node(name, how):
    taints = {"tainted": "NoSchedule", "evicting": "NoExecute"}.get(how)
    return Node(
        metadata=Metadata(name=name, labels={} if how == "other" else {"for": "us"}),
        spec=nodes.Spec(taints=(Taint(key="k", effect=taints),) if taints else ()),
    )


class World:
    """One DaemonSet, its pods and history, and the nodes."""

    def __init__(self):
        self.it = DaemonSet(
            metadata=Metadata(name="agent", uid="set", generation=1),
            spec=DaemonSetSpec(
                selector=LabelSelector(match_labels=LABELS),
                revision_history_limit=1,
                update_strategy=UpdateStrategy(rolling_update=RollingUpdate(max_unavailable=1)),
                template=template("v1"),
            ),
        )
        self.nodes = {f"n{at}": node(f"n{at}", "") for at in range(4)}
        self.pods: dict[str, Pod] = {}
        self.history: list[ControllerRevision] = []
        self.held: dict[str, float] = {}
        self.born = 0

    def edit(self, **spec):
        metadata = replace(self.it.metadata, generation=self.it.metadata.generation + 1)
        self.it = replace(self.it, metadata=metadata, spec=replace(self.it.spec, **spec))

    def places(self):
        found = placing.place(self.it, self.nodes.values(), self.pods.values())
        return {place.node: place for place in found.nodes}

    def look(self):
        seen = Observed(list(self.nodes.values()), list(self.pods.values()), self.history)
        todo = daemonset.plan(self.it, seen, self.held, NOW)
        self.check(todo)
        for item in todo.step.delete:
            leaving = replace(item.metadata, deletion_timestamp=timestamps.render(NOW))
            self.pods[item.metadata.name] = replace(item, metadata=leaving)
        for name in todo.step.create:
            self.born += 1
            born = f"p{self.born:03}"
            metadata = Metadata(
                name=born,
                uid=born,
                labels={**LABELS, POD_HASH: todo.mark},
                creation_timestamp=timestamps.render(NOW + self.born),
                owner_references=(OWNER,),
            )
            self.pods[born] = Pod(metadata=metadata, spec=pods.Spec(affinity=bound(name)))
        for item in todo.remark:
            labels = {**LABELS, POD_HASH: todo.mark}
            held = self.pods[item.metadata.name]
            self.pods[item.metadata.name] = replace(
                held, metadata=replace(held.metadata, labels=labels)
            )
        self.remember(todo.history)
        self.it = replace(self.it, status=todo.status)
        return todo

    def remember(self, history):
        gone = {item.metadata.name for item in history.delete}
        self.history = [item for item in self.history if item.metadata.name not in gone]
        wanted = history.wanted
        if revisions.is_new(wanted):
            self.history = [item for item in self.history if item.metadata.name != wanted.name]
            labels = {**LABELS, POD_HASH: wanted.ending}
            metadata = Metadata(name=wanted.name, labels=labels, owner_references=(OWNER,))
            self.history.append(
                ControllerRevision(
                    metadata=metadata, revision=wanted.number, data=msgspec.Raw(wanted.data)
                )
            )

    def check(self, todo):
        """What no step may do."""
        places = self.places()
        create, delete = todo.step.create, {item.metadata.name for item in todo.step.delete}
        assert len(set(create)) == len(create)
        assert all(places[name].wanted for name in create)
        assert not any(item.metadata.deleting for item in todo.step.delete)
        wanted = [place for place in places.values() if place.wanted]
        limit = steps.bounds(self.it, len(wanted))
        lost, away = [], 0
        for place in wanted:
            staying = [it for it in place.pods if pods.is_active(it)]
            serving = {it.metadata.name for it in staying if pods.is_ready(it)}
            away += not serving
            if serving and serving <= delete and len(staying) == 1:
                lost.append(place.node)
            if place.node in create and not limit.surge:
                assert not place.pods
            if place.node in create:
                assert len(staying) <= 1
        if self.it.spec.update_strategy.type == "OnDelete" or limit.surge:
            assert not lost
        elif lost:
            assert away + len(lost) <= limit.unavailable
        if limit.surge:
            beside = [
                name
                for name in create
                if any(pods.is_active(it) and pods.is_ready(it) for it in places[name].pods)
            ]
            assert len(beside) <= limit.surge

    def turn(self, name, how):
        item = self.pods[name]
        target = placing.node_of(item)
        if how == "end":
            if item.metadata.deleting:
                del self.pods[name]
        elif target in self.nodes and not pods.is_terminal(item):
            phase = {"fail": "Failed", "succeed": "Succeeded"}.get(how, "Running")
            since = timestamps.render(NOW - 100)
            told = Condition(type="Ready", status="True", last_transition_time=since)
            self.pods[name] = replace(
                item,
                spec=replace(item.spec, node_name=target),
                status=pods.Status(phase=phase, conditions=(told,) if how == "serve" else ()),
            )

    def become(self, name, how):
        """What happens to a node."""
        self.nodes.pop(name, None)
        if how != "gone":
            self.nodes[name] = node(name, how)

    def collect(self):
        """The pod garbage collector: pods of nodes that are gone go."""
        for name, item in list(self.pods.items()):
            if item.spec.node_name and item.spec.node_name not in self.nodes:
                del self.pods[name]

    def settle(self):
        for _ in range(300):
            before = (self.it, dict(self.pods), list(self.history))
            todo = self.look()
            self.collect()
            for name, item in list(self.pods.items()):
                self.turn(name, "end" if item.metadata.deleting else "serve")
            if before == (self.it, self.pods, self.history):
                assert (todo.step.create, todo.step.delete) == ((), ())
                return
        raise AssertionError("it never comes to rest")


def rolling(unavailable, surge):
    told = RollingUpdate(max_unavailable=unavailable, max_surge=surge)
    return {"update_strategy": UpdateStrategy(rolling_update=told)}


SHARE = st.integers(1, 4) | st.integers(1, 100).map(lambda share: f"{share}%")
EDITS = st.one_of(
    st.builds(lambda image: {"template": template(image)}, st.sampled_from(["v1", "v2", "v3"])),
    st.builds(lambda image: {"template": template(image)}, st.sampled_from(["v1", "v2", "v3"])),
    st.builds(lambda share: rolling(share, 0), SHARE),
    st.builds(lambda share: rolling(0, share), SHARE),
    st.just({"update_strategy": UpdateStrategy(type="OnDelete")}),
)
NODES = st.tuples(
    st.sampled_from([f"n{at}" for at in range(5)]),
    st.sampled_from(["", "", "tainted", "evicting", "other", "gone"]),
)
ACTS = ["serve", "serve", "idle", "fail", "succeed", "end", "end"]
STEPS = st.lists(
    st.one_of(
        st.just(("look", None)),
        st.just(("look", None)),
        st.tuples(st.sampled_from(ACTS), st.integers(0, 11)),
        st.tuples(st.sampled_from(ACTS), st.integers(0, 11)),
        st.tuples(st.just("node"), NODES),
        st.tuples(st.just("edit"), EDITS),
    ),
    min_size=20,
    max_size=90,
)


@settings(deadline=None)
@given(st.booleans(), STEPS)
def test_whoever_edits_it_a_daemonset_keeps_its_limits_and_ends_well(started, acts):
    run = World()
    if started:
        run.settle()
    for act, what in acts:
        if act == "look":
            run.look()
        elif act == "edit":
            run.edit(**what)
        elif act == "node":
            run.become(*what)
        elif run.pods:
            run.turn(sorted(run.pods)[what % len(run.pods)], act)
    run.settle()
    places = run.places()
    assert all(len(place.pods) == 1 for place in places.values() if place.wanted)
    assert all(place.may_stay or not place.pods for place in places.values())
    status, wanted = run.it.status, sum(place.wanted for place in places.values())
    assert status.desired_number_scheduled == status.number_available == wanted
    assert status.number_unavailable == 0
    if run.it.spec.update_strategy.type == "RollingUpdate":
        assert status.updated_number_scheduled == wanted
    assert sum(len(place.pods) for place in places.values()) == len(run.pods)


def old_and_new(run, idle_new=0, idle_old=0, serving_old=0):
    """One pod on each node: outdated or not, serving or not."""
    mark = run.look().mark
    run.pods.clear()
    shapes = [(mark, "idle")] * idle_new + [("old", "idle")] * idle_old
    for at, (image, how) in enumerate(shapes + [("old", "serve")] * serving_old):
        name = f"n{at:03}"
        run.nodes[name] = node(name, "")
        labels = {**LABELS, POD_HASH: image}
        metadata = Metadata(name=f"p{at}", uid=f"p{at}", labels=labels, owner_references=(OWNER,))
        run.pods[f"p{at}"] = Pod(metadata=metadata, spec=pods.Spec(affinity=bound(name)))
        run.turn(f"p{at}", how)


@pytest.mark.parametrize("most", range(11))
def test_serving_old_pods_are_safe_while_enough_others_are_away(most):
    run = World()
    run.nodes.clear()
    run.edit(**rolling(most, 0))
    old_and_new(run, idle_old=10, serving_old=10)
    gone = run.look().step.delete
    assert len(gone) == 10
    assert not any(pods.is_ready(item) for item in gone)


def test_of_many_that_are_away_outdated_ones_alone_go():
    run = World()
    run.nodes.clear()
    run.edit(**rolling(10, 0))
    old_and_new(run, idle_new=88, idle_old=2, serving_old=10)
    assert [item.metadata.labels[POD_HASH] for item in run.look().step.delete] == ["old", "old"]
    run = World()
    run.nodes.clear()
    run.edit(**rolling(11, 0))
    old_and_new(run, idle_old=10, serving_old=10)
    assert len(run.look().step.delete) == 11


@pytest.mark.parametrize(
    ("there", "gone"),
    [
        # Oldest first: which template, and how long it has been ready.
        ([("old", 50), ("new", None)], []),
        ([("old", 50), ("new", 5)], []),
        ([("old", 50), ("new", 50)], [0]),
        ([("old", None), ("new", None)], [0]),
        ([("old", None), ("new", 50)], [0]),
        ([("new", None), ("old", 50), ("old", 50)], [2]),
        ([("old", 50), ("new", None), ("new", 50)], [2]),
        ([("old", 50), ("old", 50), ("new", 50)], [1, 0]),
        ([("new", 50), ("new", 50)], [1]),
    ],
)
def test_with_surge_two_share_a_node_only_until_the_new_one_serves(there, gone):
    run = World()
    run.nodes = {"n0": node("n0", "")}
    run.edit(min_ready_seconds=10, **rolling(0, 1))
    mark = run.look().mark
    run.pods.clear()
    for at, (image, seconds) in enumerate(there):
        since = timestamps.render(NOW - (seconds or 0))
        told = (Condition(type="Ready", status="True", last_transition_time=since),)
        run.pods[f"p{at}"] = Pod(
            metadata=Metadata(
                name=f"p{at}",
                uid=f"p{at}",
                labels={**LABELS, POD_HASH: mark if image == "new" else "old"},
                creation_timestamp=timestamps.render(NOW - 100 + at),
                owner_references=(OWNER,),
            ),
            spec=pods.Spec(node_name="n0", affinity=bound("n0")),
            status=pods.Status(phase="Running", conditions=told if seconds else ()),
        )
    seen = Observed(list(run.nodes.values()), list(run.pods.values()), run.history)
    step = daemonset.plan(run.it, seen, {}, NOW).step
    assert [item.metadata.name for item in step.delete] == [f"p{at}" for at in gone]
    assert step.create == ()
