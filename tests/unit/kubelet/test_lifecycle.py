"""Plans of a pod's life: fixed cases, and a simulated runtime on which every plan ends."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.services.kubelet.pod import ending, lifecycle, restarts, status
from pilothouse.services.kubelet.pod.ending import Leaving
from pilothouse.services.kubelet.pod.lifecycle import fingerprint, plan
from pilothouse.services.kubelet.pod.observed import (
    SANDBOX,
    Container,
    Health,
    Known,
    Observed,
    Sandbox,
    Trouble,
    is_abandoned,
)
from pilothouse.services.kubelet.pod.plans import (
    EnsureImage,
    PrepareVolumes,
    RemoveContainer,
    RemoveSandbox,
    ResumeContainer,
    RunSandbox,
    StartContainer,
    StopContainer,
    StopSandbox,
)
from pilothouse.services.kubelet.pod.views import Pod

NOW = 1_000_000.0
PLACE = status.Place("10.0.0.1")


def pod_of(policy: str = "Always", *, inits: int = 0, mains: int = 1, **spec: object) -> Pod:
    return msgspec.convert(
        {
            "metadata": {"name": "web", "namespace": "default", "uid": "u"},
            "spec": {
                "restartPolicy": policy,
                "initContainers": [{"name": f"i{n}", "image": "x"} for n in range(inits)],
                "containers": [{"name": f"c{n}", "image": "x"} for n in range(mains)],
                **spec,
            },
        },
        Pod,
    )


def known_of(pod: Pod, **parts: object) -> Known:
    names = [item.name for item in (*pod.spec.init_containers, *pod.spec.containers)]
    return Known(volumes_ready=True, images=frozenset(names), **parts)


def container(name: str, state: str, attempt: int = 0, **parts: object) -> Container:
    made = Container(f"{name}-{attempt}", name, attempt, "s0", state, started_at=NOW - 5)
    if state == "exited":
        made = replace(made, finished_at=NOW - 1)
    return replace(made, **parts)


READY = Sandbox("s0", 0, ready=True, ips=("10.1.0.2",))


def test_a_new_pod_gets_all_it_needs_at_once():
    pod = pod_of(mains=2)
    acts = plan(pod, Observed(), Known(), NOW).acts
    assert acts == (PrepareVolumes(), RunSandbox(0), EnsureImage("c0"), EnsureImage("c1"))


def test_containers_start_when_sandbox_image_and_volumes_are_there():
    pod = pod_of()
    observed = Observed((READY,))
    assert plan(pod, observed, known_of(pod), NOW).acts == (StartContainer("c0", 0, "s0", 0.0),)
    waiting = replace(known_of(pod), volumes_ready=False)
    assert plan(pod, observed, waiting, NOW).acts == (PrepareVolumes(),)


def test_init_containers_come_first_and_one_by_one():
    pod = pod_of(inits=2)
    known = known_of(pod)
    running = Observed((READY,), (container("i0", "running"),))
    assert plan(pod, running, known, NOW).acts == ()
    ended = Observed((READY,), (container("i0", "exited"),))
    assert plan(pod, ended, known, NOW).acts == (StartContainer("i1", 0, "s0", 0.0),)
    failed = Observed((READY,), (container("i0", "exited", exit_code=1),))
    assert plan(pod, failed, known, NOW).acts == (StartContainer("i0", 1, "s0", 10.0),)


def test_a_sidecar_runs_beside_and_stops_last():
    body = {"name": "side", "image": "x", "restartPolicy": "Always"}
    pod = pod_of(initContainers=[body])
    known = known_of(pod)
    side = container("side", "running")
    observed = Observed((READY,), (side,))
    assert plan(pod, observed, known, NOW).acts == (StartContainer("c0", 0, "s0", 0.0),)
    both = Observed((READY,), (side, container("c0", "running")))
    going = plan(pod, both, known, NOW, Leaving(30.0))
    assert [(act.name, act.after) for act in going.acts] == [("side", ("c0-0",)), ("c0", ())]
    alone = Observed((READY,), (side, container("c0", "exited")))
    assert [act.name for act in plan(pod, alone, known, NOW, Leaving(30.0)).acts] == ["side"]


def test_sidecars_end_in_reverse_order_within_one_grace():
    sides = [{"name": f"s{n}", "image": "x", "restartPolicy": "Always"} for n in range(3)]
    pod = pod_of(initContainers=sides)
    running = [container(name, "running") for name in ("s0", "s1", "s2", "c0")]
    acts = plan(pod, Observed((READY,), tuple(running)), known_of(pod), NOW, Leaving(30.0)).acts
    assert {act.name: set(act.after) for act in acts} == {
        "s0": {"c0-0", "s1-0", "s2-0"}, "s1": {"c0-0", "s2-0"}, "s2": {"c0-0"}, "c0": set(),
    }  # fmt: skip
    assert {act.grace_seconds for act in acts} == {30.0}


@pytest.mark.parametrize(
    ("own", "rules", "code", "again"),
    [
        ("Always", [], 0, True),
        ("OnFailure", [], 0, False),
        ("OnFailure", [], 2, True),
        ("Never", [], 2, False),
        ("Never", [("In", [42])], 42, True),
        ("Never", [("In", [42])], 1, False),
        ("Never", [("NotIn", [0, 1])], 1, False),
        ("Never", [("NotIn", [0, 1])], 2, True),
        ("", [("In", [0])], 0, True),
    ],
)
def test_a_container_has_a_policy_and_rules_of_its_own(own, rules, code, again):
    told = [
        {"action": "Restart", "exitCodes": {"operator": operator, "values": values}}
        for operator, values in rules
    ]
    body = {"name": "c0", "image": "x", "restartPolicy": own, "restartPolicyRules": told}
    pod = pod_of("Never", containers=[body])
    observed = Observed((READY,), (container("c0", "exited", exit_code=code),))
    acts = plan(pod, observed, known_of(pod), NOW).acts
    assert isinstance(acts[0], StartContainer) == again
    phase = status.render(pod, observed, known_of(pod), PLACE, NOW)["phase"]
    assert (phase == "Running") == again


def test_an_init_container_that_may_run_again_does_not_end_the_pod():
    rule = {"action": "Restart", "exitCodes": {"operator": "In", "values": [3]}}
    body = {"name": "i0", "image": "x", "restartPolicy": "Never", "restartPolicyRules": [rule]}
    pod = pod_of("Always", initContainers=[body])
    for code, phase in ((3, "Pending"), (1, "Failed")):
        observed = Observed((READY,), (container("i0", "exited", exit_code=code),))
        assert status.render(pod, observed, known_of(pod), PLACE, NOW)["phase"] == phase


def test_a_created_container_is_started_not_made_twice():
    pod = pod_of()
    observed = Observed((READY,), (container("c0", "created"),))
    assert plan(pod, observed, known_of(pod), NOW).acts == (ResumeContainer("c0-0", "c0"),)


def test_backoff_is_read_from_the_container():
    pod = pod_of()
    ended = container("c0", "exited", 3, wait_seconds=20.0)
    observed = Observed((READY,), (ended,))
    waiting = plan(pod, observed, known_of(pod), NOW)
    assert (waiting.acts, waiting.again_at) == ((), NOW + 19)
    assert waiting.backing_off == (ended,), "for somebody to tell"
    assert plan(pod, observed, replace(known_of(pod), restart_wait_max=30.0), NOW + 19).acts == (
        StartContainer("c0", 4, "s0", 30.0),
    )
    later = plan(pod, observed, known_of(pod), NOW + 19)
    assert later.acts == (StartContainer("c0", 4, "s0", 40.0),)


def test_restart_policies():
    for policy, code, again in (
        ("Always", 0, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 1, False),
    ):  # fmt: skip
        pod = pod_of(policy)
        observed = Observed((READY,), (container("c0", "exited", exit_code=code),))
        acts = plan(pod, observed, known_of(pod), NOW).acts
        assert isinstance(acts[0], StartContainer) == again
        if not again:
            assert acts == (StopSandbox("s0"),), "a finished pod gives its address back"


def test_a_dead_sandbox_is_replaced_and_counts_on():
    pod = pod_of()
    dead = replace(READY, ready=False)
    observed = Observed((dead,), (container("c0", "exited", 2, exit_code=255),))
    acts = plan(pod, observed, known_of(pod), NOW).acts
    assert acts == (RunSandbox(1, "s0"),)
    fresh = Sandbox("s1", 1, ready=True)
    again = plan(pod, replace(observed, sandboxes=(fresh, dead)), known_of(pod), NOW)
    assert again.acts == (StartContainer("c0", 3, "s1", 10.0),)
    new = replace(container("c0", "running", 3), sandbox_id="s1")
    done = Observed((fresh, dead), (new, *observed.containers))
    assert plan(pod, done, known_of(pod), NOW).acts == (RemoveSandbox("s0"),)


def test_a_failed_probe_and_a_new_image_restart():
    pod = pod_of()
    running = container("c0", "running", made_of=fingerprint(pod.spec.containers[0]))
    observed = Observed((READY,), (running,))
    sick = known_of(pod, health={"c0-0": Health(failed="liveness", grace_seconds=7)})
    assert plan(pod, observed, sick, NOW).acts == (
        StopContainer("c0-0", "c0", "Container c0 failed liveness probe, will be restarted", 7.0),
    )
    other = replace(running, made_of="other")
    (act,) = plan(pod, Observed((READY,), (other,)), known_of(pod), NOW).acts
    assert "definition changed" in act.message
    stopping = known_of(pod, stopping={"c0-0": NOW + 30})
    assert plan(pod, Observed((READY,), (other,)), stopping, NOW).acts == ()


def test_leaving_waits_for_the_endpoint_only_when_it_was_served():
    pod = pod_of()
    observed = Observed((READY,), (container("c0", "running"),))
    (act,) = plan(pod, observed, known_of(pod), NOW, Leaving(30.0)).acts
    assert (act.grace_seconds, act.delay_seconds) == (30.0, 0.0)
    ready = msgspec.structs.replace(
        pod, status={"conditions": [{"type": "Ready", "status": "True"}]}
    )
    (act,) = plan(ready, observed, known_of(pod), NOW, Leaving(30.0)).acts
    assert act.delay_seconds == ending.WITHDRAW_SECONDS
    (act,) = plan(ready, observed, known_of(pod), NOW, Leaving(0.0)).acts
    assert act.delay_seconds == 0.0
    sooner = known_of(pod, stopping={"c0-0": NOW + 30})
    assert plan(ready, observed, sooner, NOW, Leaving(30.0)).acts == ()
    (act,) = plan(ready, observed, sooner, NOW, Leaving(1.0)).acts
    assert act.grace_seconds == 1.0
    gone = Observed((replace(READY, ready=False),), (container("c0", "exited"),))
    assert plan(pod, gone, known_of(pod), NOW, Leaving(30.0)).ended


def test_trouble_waits():
    pod = pod_of()
    trouble = {SANDBOX: Trouble("x", "y", NOW + 3, 3.0)}
    waiting = plan(pod, Observed(), known_of(pod, troubles=trouble), NOW)
    assert (waiting.acts, waiting.again_at) == ((), NOW + 3)


def test_old_instances_are_removed():
    pod = pod_of()
    old = [container("c0", "exited", n) for n in (2, 1, 0)]
    observed = Observed((READY,), (container("c0", "running", 3), *old))
    acts = plan(pod, observed, known_of(pod), NOW).acts
    assert acts == (RemoveContainer("c0-1"), RemoveContainer("c0-0"))


def test_a_start_that_a_dead_kubelet_gave_up_is_no_run():
    pod = pod_of("Never")
    given_up = container(
        "c0", "exited", exit_code=128, reason="StartError", message="task: context canceled: x"
    )
    assert is_abandoned(given_up)
    assert not is_abandoned(replace(given_up, message="no such file"))
    observed = Observed((READY,), (), (given_up,))
    assert plan(pod, observed, known_of(pod), NOW).acts == (RemoveContainer("c0-0"),)
    assert status.render(pod, observed, known_of(pod), PLACE, NOW)["phase"] == "Pending"


@pytest.mark.parametrize(
    ("state", "last", "attempt"),
    [
        ({"running": {}}, {}, 3),
        ({"waiting": {"reason": "RunContainerError"}}, {}, 2),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, {"terminated": {"exitCode": 1}}, 3),
    ],
)
def test_what_the_runtime_lost_counts_if_it_ever_ran(state, last, attempt):
    entry = {"name": "c0", "containerID": "containerd://x", "restartCount": 2}
    told = {"containerStatuses": [entry | {"state": state, "lastState": last}]}
    pod = msgspec.structs.replace(pod_of(), status=told)
    (act,) = plan(pod, Observed((READY,)), known_of(pod), NOW).acts
    assert act.attempt == attempt


def test_an_overdue_pod_ends():
    pod = pod_of(activeDeadlineSeconds=60)
    started = {"startTime": "1970-01-01T00:00:00Z", "phase": "Running"}
    pod = msgspec.structs.replace(pod, status=started)
    observed = Observed((READY,), (container("c0", "running"),))
    (act,) = plan(pod, observed, known_of(pod), NOW).acts
    assert isinstance(act, StopContainer)
    ended = Observed((READY,), (container("c0", "exited", exit_code=137),))
    shown = status.render(pod, ended, known_of(pod), PLACE, NOW)
    assert (shown["phase"], shown["reason"]) == ("Failed", "DeadlineExceeded")


class Simulated:
    """A runtime as a value: acts change it at once."""

    def __init__(self, sandboxes=(), containers=()):
        self.sandboxes, self.containers = list(sandboxes), list(containers)
        self.known = Known()

    def observed(self):
        return Observed(
            tuple(sorted(self.sandboxes, key=lambda item: -item.attempt)),
            tuple(sorted(self.containers, key=lambda item: -item.attempt)),
        )

    def _change(self, id_, **parts):
        self.containers = [
            replace(item, **parts) if item.id == id_ else item for item in self.containers
        ]

    def apply(self, act, pod, now):
        match act:
            case PrepareVolumes():
                self.known = replace(self.known, volumes_ready=True)
            case EnsureImage():
                self.known = replace(self.known, images=self.known.images | {act.name})
            case RunSandbox():
                self.sandboxes = [replace(item, ready=False) for item in self.sandboxes]
                made = Sandbox(f"s{act.attempt}", act.attempt, ready=True)
                assert made.id not in {item.id for item in self.sandboxes}
                self.sandboxes.append(made)
            case StopSandbox():
                self.sandboxes = [
                    replace(item, ready=item.ready and item.id != act.id) for item in self.sandboxes
                ]
            case RemoveSandbox():
                self.sandboxes = [item for item in self.sandboxes if item.id != act.id]
                self.containers = [item for item in self.containers if item.sandbox_id != act.id]
            case StartContainer():
                made_of = fingerprint(pod.container(act.name))
                id_ = f"{act.name}-{act.attempt}"
                assert id_ not in {item.id for item in self.containers}, "never twice"
                alive = [c for c in self.containers if c.name == act.name and c.state == "running"]
                assert not alive, "never two at once"
                self.containers.append(Container(
                    id_, act.name, act.attempt, act.sandbox_id, "running", started_at=now,
                    made_of=made_of, wait_seconds=act.wait_seconds,
                ))  # fmt: skip
                left = self.known.images - {act.name}
                self.known = replace(self.known, images=left)
            case ResumeContainer():
                self._change(act.id, state="running", started_at=now)
            case StopContainer():
                self._change(act.id, state="exited", finished_at=now, exit_code=137)
            case RemoveContainer():
                self.containers = [item for item in self.containers if item.id != act.id]


CONTAINERS = st.builds(
    Container,
    id=st.just(""),
    name=st.sampled_from(["i0", "i1", "c0", "c1"]),
    attempt=st.integers(0, 4),
    sandbox_id=st.sampled_from(["s0", "s1"]),
    state=st.sampled_from(["created", "running", "exited", "unknown"]),
    exit_code=st.sampled_from([0, 1, 137]),
    started_at=st.just(NOW - 30),
    finished_at=st.just(NOW - 10),
    wait_seconds=st.sampled_from([0.0, 10.0, 300.0]),
    made_of=st.sampled_from(["", "old"]),
)


@st.composite
def worlds(draw):
    found = draw(st.lists(CONTAINERS, max_size=6, unique_by=lambda item: (item.name, item.attempt)))
    first = Sandbox("s0", 0, ready=draw(st.booleans()))
    second = Sandbox("s1", 1, ready=draw(st.booleans()))
    sandboxes = draw(st.sampled_from([[], [first], [first, second]]))
    here = {item.id for item in sandboxes}
    made = [replace(item, id=f"{item.name}-{item.attempt}") for item in found]
    return Simulated(sandboxes, [item for item in made if item.sandbox_id in here])


@settings(max_examples=300, deadline=None)
@given(worlds(), st.sampled_from(["Always", "OnFailure", "Never"]), st.booleans())
def test_a_plan_carried_out_leaves_nothing_to_do(world, policy, leaves):
    pod = pod_of(policy, inits=2, mains=2)
    leaving = Leaving(30.0) if leaves else None
    now = NOW
    for _ in range(40):
        made = plan(pod, world.observed(), world.known, now, leaving)
        assert made == plan(pod, world.observed(), world.known, now, leaving), "pure"
        if made.ended:
            assert leaves
            assert not world.observed().alive()
            return
        if not made.acts:
            for item in world.observed().alive():
                if item.name.startswith("i"):
                    world._change(item.id, state="exited", exit_code=0, finished_at=now)
                    break
            else:
                if made.again_at is None:
                    break
                now = max(now, made.again_at)
        for act in made.acts:
            world.apply(act, pod, now)
    assert not leaves, "a leaving pod ends"
    finished = lifecycle.is_finished(pod, world.observed(), now)
    running = {item.name for item in world.observed().alive()}
    if finished:
        assert not running
        assert not any(item.ready for item in world.sandboxes)
    elif policy == "Always":
        assert running >= {"c0", "c1"}
    shown = status.render(pod, world.observed(), world.known, PLACE, now)
    assert (shown["phase"] in lifecycle.TERMINAL) == finished


@given(st.lists(st.floats(0, 1200), max_size=20))
def test_waits_double_and_forget(runs):
    before = None
    for seconds in runs:
        wait = restarts.next_wait(before)
        if before is None:
            assert wait == 0.0
        elif before.finished_at - before.started_at >= 600 or before.wait_seconds == 0:
            assert wait == 10.0
        else:
            assert wait == min(before.wait_seconds * 2, 300.0)
        before = Container(
            "x", "c", 0, "s", "exited", started_at=1.0, finished_at=1.0 + seconds,
            wait_seconds=wait,
        )  # fmt: skip
