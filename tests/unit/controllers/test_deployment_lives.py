"""Deployments over their ReplicaSets over pods: many random steps, and the limits at each of them.

Both controllers' own plans are carried out on pods that come up, fail and go slowly, while somebody
edits the Deployment.
"""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.services.controllers.workload import deployment, replicaset
from pilothouse.services.controllers.workload.rollout import progress, revisions, sizes
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.pods import Pod, PodTemplate
from pilothouse.services.machinery.kinds.workloads import (
    TEMPLATE_HASH,
    Deployment,
    DeploymentSpec,
    ReplicaSet,
    ReplicaSetSpec,
    RollingUpdate,
    Strategy,
)
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Metadata, OwnerReference

NOW = 1_000_000.0
LABELS = {"app": "web"}
READY = Condition(
    type="Ready", status="True", last_transition_time=timestamps.render(NOW - 100)
)  # fmt: skip
replace = msgspec.structs.replace


def template(image):
    spec = msgspec.Raw(msgspec.json.encode({"containers": [{"name": "c", "image": image}]}))
    return PodTemplate(metadata=Metadata(labels=LABELS), spec=spec)


def owned_by(kind, name):
    return (OwnerReference(api_version="apps/v1", kind=kind, name=name, uid=name, controller=True),)


class World:
    """One Deployment and all that it brings about."""

    def __init__(self, strategy):
        self.wanted = Deployment(
            metadata=Metadata(name="web", uid="web", generation=1),
            spec=DeploymentSpec(
                replicas=3,
                selector=LabelSelector(match_labels=LABELS),
                strategy=strategy,
                template=template("v1"),
            ),
        )
        self.sets: dict[str, ReplicaSet] = {}
        self.pods: dict[str, Pod] = {}
        self.now = NOW
        self.born = 0

    def edit(self, **spec):
        self.wanted = replace(
            self.wanted,
            metadata=replace(self.wanted.metadata, generation=self.wanted.metadata.generation + 1),
            spec=replace(self.wanted.spec, **spec),
        )

    def of(self, name):
        return [
            item for item in self.pods.values() if item.metadata.owner_references[0].uid == name
        ]

    def running(self):
        """Uids of ReplicaSets that have pods which have not ended, going or not."""
        return frozenset(
            name for name in self.sets if any(not pods.is_terminal(item) for item in self.of(name))
        )

    @property
    def asked(self):
        return sum(item.spec.replicas for item in self.sets.values())

    @property
    def promised(self):
        """Pods that serve, as the ReplicaSets last told, and that nobody has asked to go."""
        return sum(
            min(item.spec.replicas, item.status.available_replicas) for item in self.sets.values()
        )

    def look(self):
        """One step of the Deployment, which must keep within its limits."""
        asked, promised, spec = self.asked, self.promised, self.wanted.spec
        found = list(self.sets.values())
        new, olds = revisions.split(self.wanted, found)
        limit = sizes.bounds(self.wanted)
        running = self.running()
        resizing = spec.paused or sizes.is_resized(self.wanted, new, olds)
        todo = deployment.plan(self.wanted, found, running, self.now)
        self.carry_out(todo)
        assert self.asked <= max(asked, spec.replicas + limit.surge)
        if not resizing and sizes.is_rolling(self.wanted):
            assert self.promised >= min(promised, spec.replicas - limit.unavailable)
        if not resizing and not sizes.is_rolling(self.wanted) and self.asked > asked:
            assert not running - ({new.metadata.uid} if new is not None else set())
        for item in todo.delete:
            assert not any(pods.is_active(pod) for pod in self.of(item.metadata.name))
        return todo

    def carry_out(self, todo):
        if todo.create is not None:
            born = todo.create
            assert born.name not in self.sets
            marked = {**LABELS, TEMPLATE_HASH: born.template_hash}
            here = self.wanted.spec.template
            self.sets[born.name] = ReplicaSet(
                metadata=Metadata(
                    name=born.name,
                    uid=born.name,
                    generation=1,
                    labels=LABELS,
                    annotations=dict(born.annotations),
                    creation_timestamp=timestamps.render(self.now + len(self.sets)),
                    owner_references=owned_by("Deployment", "web"),
                ),
                spec=ReplicaSetSpec(
                    replicas=born.replicas,
                    selector=LabelSelector(match_labels=marked),
                    template=replace(here, metadata=replace(here.metadata, labels=marked)),
                ),
            )
        for change in todo.change:
            name = change.replicaset.metadata.name
            known = self.sets[name]
            self.sets[name] = replace(
                known,
                metadata=replace(
                    known.metadata,
                    generation=known.metadata.generation + 1,
                    annotations={**known.metadata.annotations, **change.annotations},
                ),
                spec=replace(known.spec, replicas=change.replicas),
            )
        for item in todo.delete:
            del self.sets[item.metadata.name]
        self.wanted = replace(self.wanted, status=todo.status)

    def follow(self, name):
        """One step of a ReplicaSet: never a pod more than asked for, idle ones go first."""
        known = self.sets[name]
        here = self.of(name)
        beside = [item for item in self.pods.values() if item not in here]
        todo = replicaset.plan(known, here, self.now, beside)
        active = [item for item in here if pods.is_active(item)]
        assert not (todo.create and todo.delete)
        assert len(active) + todo.create - len(todo.delete) == known.spec.replicas
        if any(pods.is_ready(item) for item in todo.delete):
            gone = {item.metadata.name for item in todo.delete}
            assert all(item.metadata.name in gone for item in active if not pods.is_ready(item))
        for item in todo.delete:
            leaving = replace(item.metadata, deletion_timestamp=timestamps.render(self.now))
            self.pods[item.metadata.name] = replace(item, metadata=leaving)
        for _ in range(todo.create):
            self.born += 1
            born = f"p{self.born}"
            self.pods[born] = Pod(
                metadata=Metadata(
                    name=born,
                    uid=born,
                    labels=known.spec.template.metadata.labels,
                    owner_references=owned_by("ReplicaSet", name),
                ),
                spec=pods.Spec(node_name=f"n{self.born % 3}"),
            )
        self.sets[name] = replace(known, status=todo.status)

    def turn(self, name, how):
        """What happens to a pod on its node."""
        item = self.pods[name]
        if how == "end":
            if item.metadata.deleting:
                del self.pods[name]
            return
        if pods.is_terminal(item):
            return
        phase = "Failed" if how == "fail" else "Running"
        told = (READY,) if how == "serve" else ()
        self.pods[name] = replace(item, status=pods.Status(phase=phase, conditions=told))

    def settle(self):
        for _ in range(300):
            self.now += 1
            before = (self.wanted, dict(self.sets), dict(self.pods))
            self.look()
            for name in list(self.sets):
                self.follow(name)
            for name, item in list(self.pods.items()):
                self.turn(name, "end" if item.metadata.deleting else "serve")
            for name in [name for name, item in self.pods.items() if pods.is_terminal(item)]:
                del self.pods[name]
            if before == (self.wanted, self.sets, self.pods):
                return
        raise AssertionError("the rollout never ends")


BOUND = st.integers(0, 4) | st.integers(0, 100).map(lambda share: f"{share}%")
STRATEGY = st.builds(
    lambda surge, unavailable: Strategy(
        rolling_update=RollingUpdate(max_surge=surge, max_unavailable=unavailable)
    ),
    BOUND,
    BOUND,
) | st.just(Strategy(type="Recreate"))
EDITS = st.one_of(
    st.builds(lambda number: {"replicas": number}, st.integers(0, 10)),
    st.builds(lambda image: {"template": template(image)}, st.sampled_from(["v1", "v2", "v3"])),
    st.builds(lambda paused: {"paused": paused}, st.booleans()),
    st.builds(lambda limit: {"revision_history_limit": limit}, st.integers(0, 2)),
    st.builds(lambda strategy: {"strategy": strategy}, STRATEGY),
)
STEPS = st.lists(
    st.one_of(
        st.just(("look", None)),
        st.just(("look", None)),
        st.tuples(st.just("follow"), st.integers(0, 3)),
        st.tuples(st.just("follow"), st.integers(0, 3)),
        st.tuples(st.sampled_from(["serve", "serve", "idle", "fail", "end", "end"]),
                  st.integers(0, 30)),
        st.tuples(st.just("edit"), EDITS),
    ),
    min_size=25,
    max_size=100,
)  # fmt: skip


@settings(deadline=None)
@given(STRATEGY, st.booleans(), STEPS)
def test_whoever_edits_it_a_deployment_keeps_its_limits_and_ends_well(strategy, started, steps):
    run = World(strategy)
    if started:
        run.settle()
    for act, what in steps:
        if act == "look":
            run.look()
        elif act == "edit":
            run.edit(**what)
        elif act == "follow":
            if run.sets:
                run.follow(sorted(run.sets)[what % len(run.sets)])
        elif run.pods:
            run.turn(sorted(run.pods)[what % len(run.pods)], act)
    run.edit(paused=False)
    run.settle()
    number = run.wanted.spec.replicas
    new, olds = revisions.split(run.wanted, list(run.sets.values()))
    assert new is not None
    assert [new.spec.replicas, *{item.spec.replicas for item in olds}] in ([number], [number, 0])
    assert len(olds) <= run.wanted.spec.revision_history_limit
    assert progress.is_complete(run.wanted, run.wanted.status)
    assert len(run.pods) == number
    todo = run.look()
    assert (todo.create, todo.change, todo.delete) == (None, (), ())
    assert todo.status == run.wanted.status
    numbers = [revisions.number(item) for item in run.sets.values()]
    assert revisions.number(new) == max(numbers)
    assert len(set(numbers)) == len(numbers)
