"""StatefulSets through many random steps and edits: who comes, who goes, and never too many."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.services.controllers.workload import statefulset
from pilothouse.services.controllers.workload.stateful import steps
from pilothouse.services.controllers.workload.statefulset import Observed
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import pods, revisions, statefulsets
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.revisions import POD_HASH, ControllerRevision
from pilothouse.services.machinery.kinds.statefulsets import (
    Ordinals,
    RollingUpdate,
    StatefulSet,
    StatefulSetSpec,
    UpdateStrategy,
)
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Metadata, OwnerReference

NOW = 1_000_000.0
LABELS = {"app": "db"}
OWNER = OwnerReference(
    api_version="apps/v1", kind="StatefulSet", name="db", uid="set", controller=True
)
replace = msgspec.structs.replace


def template(image):
    said = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return msgspec.Raw(msgspec.json.encode(said))


def ready(seconds_ago):
    since = timestamps.render(NOW - seconds_ago)
    return Condition(type="Ready", status="True", last_transition_time=since)


class World:
    """One StatefulSet, its pods, its history."""

    def __init__(self, *, parallel, least):
        self.it = StatefulSet(
            metadata=Metadata(name="db", uid="set", generation=1),
            spec=StatefulSetSpec(
                selector=LabelSelector(match_labels=LABELS),
                min_ready_seconds=least,
                revision_history_limit=1,
                pod_management_policy="Parallel" if parallel else "OrderedReady",
                update_strategy=UpdateStrategy(rolling_update=RollingUpdate()),
                template=template("v1"),
            ),
        )
        self.pods: dict[str, Pod] = {}
        self.history: list[ControllerRevision] = []
        self.parallel = parallel

    def edit(self, **spec):
        metadata = replace(self.it.metadata, generation=self.it.metadata.generation + 1)
        self.it = replace(self.it, metadata=metadata, spec=replace(self.it.spec, **spec))

    def serves(self, pod):
        return steps.is_available(self.it, pod, NOW) and not pod.metadata.deleting

    def look(self):
        seen = Observed(list(self.pods.values()), self.history, {})
        todo = statefulset.plan(self.it, seen, {}, NOW)
        self.check(todo)
        for item in todo.delete:
            leaving = replace(item.metadata, deletion_timestamp=timestamps.render(NOW))
            self.pods[item.metadata.name] = replace(item, metadata=leaving)
        for birth in todo.create:
            name = f"db-{birth.ordinal}"
            assert name not in self.pods
            labels = {**LABELS, POD_HASH: birth.revision, statefulsets.POD_NAME: name}
            metadata = Metadata(name=name, uid=name, labels=labels, owner_references=(OWNER,))
            self.pods[name] = Pod(metadata=metadata)
        self.remember(todo.history)
        self.it = replace(self.it, status=todo.status)
        return todo

    def remember(self, history):
        wanted = history.wanted
        gone = {item.metadata.name for item in history.delete}
        live = {pod.metadata.labels[POD_HASH] for pod in self.pods.values()}
        assert not gone & (live | {self.it.status.current_revision} - {""})
        self.history = [item for item in self.history if item.metadata.name not in gone]
        if revisions.is_new(wanted):
            self.history = [item for item in self.history if item.metadata.name != wanted.name]
            metadata = Metadata(name=wanted.name, labels=LABELS, owner_references=(OWNER,))
            self.history.append(
                ControllerRevision(
                    metadata=metadata, revision=wanted.number, data=msgspec.Raw(wanted.data)
                )
            )

    def check(self, todo):
        """What no step may do."""
        spec = self.it.spec
        first = statefulsets.start(self.it)
        slots = {
            f"db-{at}": self.pods.get(f"db-{at}") for at in range(first, first + spec.replicas)
        }
        lost = [item.metadata.name for item in todo.delete if self.serves(item)]
        away = sum(pod is None or not self.serves(pod) for pod in slots.values())
        inside = [name for name in lost if name in slots]
        if inside:
            assert away + len(inside) <= steps.max_unavailable(self.it)
            assert spec.update_strategy.type == "RollingUpdate"
            lowest = min(int(name.rpartition("-")[2]) for name in inside)
            assert lowest - first >= spec.update_strategy.rolling_update.partition
            update = todo.history.wanted.name
            assert all(slots[name].metadata.labels[POD_HASH] != update for name in inside)
        for item in todo.delete:
            assert not item.metadata.deleting
            if spec.update_strategy.type == "OnDelete" and item.metadata.name in slots:
                assert pods.is_terminal(item)
        if not self.parallel:
            self.check_order(todo, slots)

    def check_order(self, todo, slots):
        assert len(todo.create) <= 1
        for birth in todo.create:
            lower = [pod for name, pod in slots.items() if int(name[3:]) < birth.ordinal]
            assert all(pod is not None and self.serves(pod) for pod in lower)
        beyond = [name for name in self.pods if name not in slots]
        gone = [item.metadata.name for item in todo.delete if item.metadata.name in beyond]
        assert len(gone) <= 1
        if gone:
            assert int(gone[0][3:]) == max(int(name[3:]) for name in beyond)
            assert all(pod is not None and self.serves(pod) for pod in slots.values())

    def turn(self, name, how):
        item = self.pods[name]
        if how == "end":
            if item.metadata.deleting:
                del self.pods[name]
        elif how == "unname":
            kept = {POD_HASH: item.metadata.labels[POD_HASH], **LABELS}
            self.pods[name] = replace(item, metadata=replace(item.metadata, labels=kept))
        elif not pods.is_terminal(item):
            phase = {"fail": "Failed", "succeed": "Succeeded"}.get(how, "Running")
            told = {"serve": (ready(100),), "begin": (ready(1),)}.get(how, ())
            self.pods[name] = replace(item, status=pods.Status(phase=phase, conditions=told))

    def settle(self):
        for _ in range(400):
            before = (self.it, dict(self.pods), list(self.history))
            todo = self.look()
            for name, item in list(self.pods.items()):
                self.turn(name, "end" if item.metadata.deleting else "serve")
            if before == (self.it, self.pods, self.history):
                assert (todo.create, todo.delete, todo.history.delete) == ((), (), ())
                return
        raise AssertionError("it never comes to rest")


def rolling(partition, unavailable):
    told = RollingUpdate(partition=partition, max_unavailable=unavailable)
    return {"update_strategy": UpdateStrategy(rolling_update=told)}


SHARE = st.none() | st.integers(1, 3) | st.integers(1, 100).map(lambda share: f"{share}%")
EDITS = st.one_of(
    st.builds(lambda number: {"replicas": number}, st.integers(0, 5)),
    st.builds(lambda image: {"template": template(image)}, st.sampled_from(["v1", "v2", "v3"])),
    st.builds(rolling, st.integers(0, 5), SHARE),
    st.just({"update_strategy": UpdateStrategy(type="OnDelete")}),
    st.builds(lambda first: {"ordinals": Ordinals(start=first)}, st.integers(0, 3)),
)
POD_ACTS = ["serve", "serve", "begin", "idle", "fail", "succeed", "end", "end"]
STEPS = st.lists(
    st.one_of(
        st.just(("look", None)),
        st.just(("look", None)),
        st.tuples(st.sampled_from(POD_ACTS), st.integers(0, 9)),
        st.tuples(st.sampled_from(POD_ACTS), st.integers(0, 9)),
        st.tuples(st.just("edit"), EDITS),
    ),
    min_size=20,
    max_size=90,
)


@settings(deadline=None)
@given(st.booleans(), st.sampled_from([0, 30]), st.booleans(), STEPS)
def test_whoever_edits_it_a_statefulset_keeps_its_limits_and_ends_well(
    parallel, least, started, acts
):
    run = World(parallel=parallel, least=least)
    run.edit(replicas=3)
    if started:
        run.settle()
    for act, what in acts:
        if act == "look":
            run.look()
        elif act == "edit":
            run.edit(**what)
        elif run.pods:
            run.turn(sorted(run.pods)[what % len(run.pods)], act)
    run.settle()
    first, number = statefulsets.start(run.it), run.it.spec.replicas
    assert sorted(run.pods) == sorted(f"db-{at}" for at in range(first, first + number))
    status = run.it.status
    assert (status.replicas, status.available_replicas) == (number, number)
    strategy = run.it.spec.update_strategy
    if strategy.type == "RollingUpdate" and not strategy.rolling_update.partition:
        assert status.updated_replicas == status.current_replicas == number
        assert status.current_revision == status.update_revision
    live = {pod.metadata.labels[POD_HASH] for pod in run.pods.values()}
    live |= {status.current_revision, status.update_revision}
    idle = [item for item in run.history if item.metadata.name not in live]
    assert len(idle) <= run.it.spec.revision_history_limit
