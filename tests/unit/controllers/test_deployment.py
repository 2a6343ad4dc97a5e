"""Deployments: single steps as values, and whole rollouts through a pure simulation."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.services.controllers.workload import deployment
from pilothouse.services.controllers.workload.rollout import progress, revisions, sizes
from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.kinds.pods import PodTemplate
from pilothouse.services.machinery.kinds.workloads import (
    REVISION,
    TEMPLATE_HASH,
    Deployment,
    DeploymentSpec,
    DeploymentStatus,
    ReplicaSet,
    ReplicaSetSpec,
    ReplicaStatus,
    RollingUpdate,
    Strategy,
)
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Metadata, OwnerReference

NOW = 1_000_000.0
LABELS = {"app": "web"}
OWNER = OwnerReference(
    api_version="apps/v1", kind="Deployment", name="web", uid="dep", controller=True
)
replace = msgspec.structs.replace


def template(image, **labels):
    spec = msgspec.Raw(msgspec.json.encode({"containers": [{"name": "c", "image": image}]}))
    return PodTemplate(metadata=Metadata(labels={**LABELS, **labels}), spec=spec)


def wanting(
    number, image="v1", *, surge="25%", unavailable="25%", strategy="RollingUpdate", **more
):
    rolling = RollingUpdate(max_surge=surge, max_unavailable=unavailable)
    status = more.pop("status", DeploymentStatus())
    return Deployment(
        metadata=Metadata(name="web", uid="dep", generation=2),
        spec=DeploymentSpec(
            replicas=number,
            selector=LabelSelector(match_labels=LABELS),
            strategy=Strategy(
                type=strategy, rolling_update=rolling if strategy == "RollingUpdate" else None
            ),
            template=template(image),
            **more,
        ),
        status=status,
    )


def having(name, image, number, *, available=None, revision="1", desired=None, pods=None, age=0):
    annotations = {REVISION: revision}
    if desired is not None:
        annotations |= {revisions.DESIRED: str(desired), revisions.MAXIMUM: str(desired + 1)}
    running = number if pods is None else pods
    serving = running if available is None else available
    return ReplicaSet(
        metadata=Metadata(
            name=name,
            uid=name,
            generation=1,
            labels=LABELS,
            annotations=annotations,
            creation_timestamp=timestamps.render(NOW + age),
            owner_references=(OWNER,),
        ),
        spec=ReplicaSetSpec(replicas=number, template=template(image, **{TEMPLATE_HASH: name})),
        status=ReplicaStatus(replicas=running, ready_replicas=serving, available_replicas=serving),
    )


def steps(todo):
    return {item.replicaset.metadata.name: item.replicas for item in todo.change}


def progressing(todo):
    return conditions.find(todo.status.conditions, "Progressing")


def test_percentages_round_surge_up_and_unavailable_down():
    assert sizes.bounds(wanting(10)) == sizes.Bounds(3, 2)
    assert sizes.bounds(wanting(2)) == sizes.Bounds(1, 0)
    assert sizes.bounds(wanting(3, surge=0, unavailable="10%")) == sizes.Bounds(0, 1)
    assert sizes.bounds(wanting(2, strategy="Recreate")) == sizes.Bounds(0, 0)


def test_a_first_replicaset_is_made_in_full():
    todo = deployment.plan(wanting(3), [], frozenset(), NOW)
    assert todo.create is not None
    assert todo.create.replicas == 3
    assert todo.create.name == f"web-{todo.create.template_hash}"
    assert todo.create.annotations[REVISION] == todo.revision == "1"
    assert progressing(todo).reason == "NewReplicaSetCreated"


def test_a_new_template_starts_with_the_surge_alone():
    old = having("old", "v1", 4, desired=4)
    todo = deployment.plan(wanting(4, "v2", surge=1, unavailable=0), [old], frozenset(), NOW)
    assert todo.create.replicas == 1
    assert todo.revision == "2"
    assert steps(todo) == {}


def test_old_pods_go_only_as_new_ones_become_available():
    wanted = wanting(4, "v2", surge=1, unavailable=0)
    old = having("old", "v1", 4, desired=4)
    unready = having("new", "v2", 1, available=0, revision="2", desired=4)
    assert steps(deployment.plan(wanted, [old, unready], frozenset(), NOW)) == {}
    ready = having("new", "v2", 1, revision="2", desired=4)
    assert steps(deployment.plan(wanted, [old, ready], frozenset(), NOW)) == {"old": 3}


def test_a_status_from_before_the_last_step_spares_nothing_twice():
    wanted = wanting(2, "v2", surge=1, unavailable=0)
    stale = having("old", "v1", 1, pods=2, desired=2)
    new = having("new", "v2", 1, revision="2", desired=2)
    assert steps(deployment.plan(wanted, [stale, new], frozenset(), NOW)) == {"new": 2}


def test_old_pods_that_do_not_serve_go_first():
    wanted = wanting(4, "v2", surge=0, unavailable=1)
    sick = having("sick", "v0", 2, available=0, desired=4)
    well = having("well", "v1", 2, desired=4, age=1)
    new = having("new", "v2", 0, revision="2", age=2)
    todo = deployment.plan(wanted, [sick, well, new], frozenset(), NOW)
    assert steps(todo) == {"sick": 1}


def test_a_template_met_before_gets_a_new_revision_and_keeps_its_history():
    old = having("one", "v1", 0, revision="1", desired=2)
    new = having("two", "v2", 2, revision="2", desired=2, age=1)
    todo = deployment.plan(wanting(2, "v1"), [old, new], frozenset(), NOW)
    assert todo.create is None
    change = next(item for item in todo.change if item.replicaset is old)
    assert change.annotations[REVISION] == todo.revision == "3"
    assert change.annotations[revisions.HISTORY] == "1"


def test_order_and_nulls_do_not_make_another_template():
    one = PodTemplate(spec=msgspec.Raw(b'{"a":1,"b":{"c":2,"d":null}}'))
    two = PodTemplate(spec=msgspec.Raw(b'{"b":{"c":2}, "a":1}'))
    other = PodTemplate(spec=msgspec.Raw(b'{"b":{"c":3}, "a":1}'))
    assert revisions.fingerprint(one) == revisions.fingerprint(two)
    assert revisions.fingerprint(one) != revisions.fingerprint(other)
    assert revisions.template_hash(one, None) != revisions.template_hash(one, 1)


def test_recreate_waits_until_the_last_old_pod_has_ended():
    wanted = wanting(2, "v2", strategy="Recreate")
    old = having("old", "v1", 2)
    assert steps(deployment.plan(wanted, [old], frozenset({"old"}), NOW)) == {"old": 0}
    empty = having("old", "v1", 0)
    waiting = deployment.plan(wanted, [empty], frozenset({"old"}), NOW)
    assert (waiting.create, waiting.change) == (None, ())
    assert deployment.plan(wanted, [empty], frozenset(), NOW).create.replicas == 2


def test_a_paused_one_is_sized_but_not_rolled():
    old = having("old", "v1", 2, desired=2)
    still = deployment.plan(wanting(2, "v2", paused=True), [old], frozenset(), NOW)
    assert (still.create, still.change) == (None, ())
    assert progressing(still).reason == "DeploymentPaused"
    assert steps(deployment.plan(wanting(5, "v2", paused=True), [old], frozenset(), NOW)) == {
        "old": 5
    }


def test_sized_while_rolling_shares_the_difference_out():
    old = having("old", "v1", 6, desired=10)
    new = having("new", "v2", 5, available=4, revision="2", desired=10, age=1)
    todo = deployment.plan(wanting(20, "v2", surge=1, unavailable=1), [old, new], frozenset(), NOW)
    shared = steps(todo)
    assert sum(shared.values()) == 21
    assert shared["old"] > shared["new"] > 5
    assert all(item.annotations[revisions.DESIRED] == "20" for item in todo.change)


def test_history_beyond_the_limit_goes_oldest_first():
    olds = [having(f"r{number}", f"v{number}", 0, revision=str(number)) for number in range(1, 5)]
    new = having("new", "v9", 2, revision="5", desired=2, age=1)
    wanted = wanting(2, "v9", revision_history_limit=2)
    gone = deployment.plan(wanted, [*reversed(olds), new], frozenset(), NOW).delete
    assert not gone  # their status is of an earlier generation than they are
    seen = [replace(item, status=ReplicaStatus(observed_generation=1)) for item in olds]
    gone = deployment.plan(wanted, [*seen, new], frozenset(), NOW).delete
    assert [item.metadata.name for item in gone] == ["r1", "r2"]


def test_complete_says_so_and_asks_for_nothing_more():
    new = having("new", "v1", 2, desired=2)
    todo = deployment.plan(wanting(2), [new], frozenset(), NOW)
    assert progressing(todo).reason == progress.COMPLETE
    assert conditions.is_true(todo.status.conditions, "Available")
    assert todo.again_after is None
    again = deployment.plan(wanting(2, status=todo.status), [new], frozenset(), NOW + 99)
    assert again.status == todo.status


def test_without_progress_the_deadline_is_told():
    old, new = having("old", "v1", 2, desired=2), having("new", "v2", 1, available=0, revision="2",
                                                         desired=2, age=1)  # fmt: skip
    wanted = wanting(2, "v2", progress_deadline_seconds=60)
    first = deployment.plan(wanted, [old, new], frozenset(), NOW)
    assert first.again_after is not None
    stuck = replace(wanted, status=first.status)
    early = deployment.plan(stuck, [old, new], frozenset(), NOW + 30)
    assert early.status == first.status
    late = deployment.plan(stuck, [old, new], frozenset(), NOW + 61)
    assert progressing(late).reason == progress.TIMED_OUT
    assert progressing(late).status == "False"
    assert late.again_after is None


class Simulation:
    """A Deployment, its ReplicaSets and their pods, without a cluster."""

    def __init__(self, wanted):
        self.deployment = wanted
        self.sets = {}
        self.now = NOW

    def step(self):
        """One look of the controller, carried out."""
        todo = deployment.plan(self.deployment, list(self.sets.values()), frozenset(), self.now)
        if todo.create is not None:
            born = todo.create
            self.sets[born.name] = ReplicaSet(
                metadata=Metadata(
                    name=born.name,
                    uid=born.name,
                    generation=1,
                    labels=LABELS,
                    annotations=dict(born.annotations),
                    creation_timestamp=timestamps.render(self.now + len(self.sets)),
                    owner_references=(OWNER,),
                ),
                spec=ReplicaSetSpec(replicas=born.replicas, template=self.deployment.spec.template),
            )
        for change in todo.change:
            name = change.replicaset.metadata.name
            known = self.sets[name]
            said = {**known.metadata.annotations, **change.annotations}
            self.sets[name] = replace(
                known,
                metadata=replace(known.metadata, annotations=said),
                spec=replace(known.spec, replicas=change.replicas),
            )
        for item in todo.delete:
            del self.sets[item.metadata.name]
        self.deployment = replace(self.deployment, status=todo.status)
        return todo

    def follow(self, name):
        """The ReplicaSet's controller creates and deletes; unready pods go first."""
        known = self.sets[name]
        size = known.spec.replicas
        ready = min(known.status.available_replicas, size)
        self._tell(name, size, ready)

    def serve(self, name, count):
        known = self.sets[name]
        ready = min(known.status.available_replicas + count, known.status.replicas)
        self._tell(name, known.status.replicas, ready)

    def fail(self, name):
        known = self.sets[name]
        self._tell(name, known.status.replicas, max(known.status.available_replicas - 1, 0))

    def _tell(self, name, size, ready):
        known = self.sets[name]
        status = ReplicaStatus(
            replicas=size,
            ready_replicas=ready,
            available_replicas=ready,
            observed_generation=known.metadata.generation,
        )
        self.sets[name] = replace(known, status=status)

    @property
    def asked(self):
        return sum(item.spec.replicas for item in self.sets.values())

    @property
    def serving(self):
        """Pods that serve and that nobody has asked to go."""
        return sum(
            min(item.spec.replicas, item.status.available_replicas) for item in self.sets.values()
        )

    def settle(self):
        """Let every pod become ready until nothing is left to do; how many looks that took."""
        for count in range(400):
            self.now += 1
            before = (self.deployment, dict(self.sets))
            self.step()
            for name in list(self.sets):
                self.follow(name)
                self.serve(name, 1000)
            if before == (self.deployment, self.sets):
                return count
        raise AssertionError("the rollout never ends")


BOUND = st.one_of(st.integers(0, 4), st.integers(0, 100).map(lambda share: f"{share}%"))


@settings(deadline=None)
@given(st.integers(1, 12), BOUND, BOUND, st.data())
def test_a_rollout_stays_within_its_bounds_whatever_happens(number, surge, unavailable, data):
    run = Simulation(wanting(number, surge=surge, unavailable=unavailable))
    run.settle()
    assert run.serving == run.asked == number
    spec = replace(run.deployment.spec, template=template("v2"))
    run.deployment = replace(run.deployment, spec=spec)
    limit = sizes.bounds(run.deployment)
    for _ in range(data.draw(st.integers(5, 60))):
        name = data.draw(st.sampled_from(sorted(run.sets)))
        act = data.draw(st.sampled_from(["step", "step", "follow", "serve", "fail"]))
        before = run.serving
        if act == "step":
            run.step()
            least = min(before, number - limit.unavailable)
            assert run.serving >= least
            assert run.asked <= number + limit.surge
        elif act == "follow":
            run.follow(name)
        elif act == "serve":
            run.serve(name, 1)
        else:
            run.fail(name)
    run.settle()
    running = [item for item in run.sets.values() if item.spec.replicas]
    assert [item.spec.replicas for item in running] == [number]
    assert revisions.fingerprint(running[0].spec.template) == revisions.fingerprint(template("v2"))
    assert progress.is_complete(run.deployment, run.deployment.status)


@settings(deadline=None)
@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 8), BOUND, BOUND)
def test_sized_in_the_middle_it_still_ends_well(number, then, looks, surge, unavailable):
    run = Simulation(wanting(number, surge=surge, unavailable=unavailable))
    run.settle()
    spec = replace(run.deployment.spec, template=template("v2"))
    run.deployment = replace(run.deployment, spec=spec)
    for _ in range(looks):
        run.step()
        for name in list(run.sets):
            run.follow(name)
            run.serve(name, 1)
    run.deployment = replace(run.deployment, spec=replace(spec, replicas=then))
    run.settle()
    running = [item for item in run.sets.values() if item.spec.replicas]
    assert [item.spec.replicas for item in running] == ([then] if then else [])
    assert run.deployment.status.available_replicas == then
