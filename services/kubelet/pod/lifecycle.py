"""The life of a pod on its node: from what is and what should be to what to do next.

::

    volumes, sandbox, images ─▶ init containers, one by one ─▶ containers ─▶ (restart, back-off)
                                                                  │ deleted, finished, too old
                                                       stop ─▶ sandbox down ─▶ everything removed

Pure: the same observation always gives the same plan, and a plan carried out gives an empty one.
"""

import zlib
from typing import Any

from pilothouse.services.kubelet.pod import ending, restarts
from pilothouse.services.kubelet.pod.ending import Draft, Leaving
from pilothouse.services.kubelet.pod.observed import (
    SANDBOX,
    VOLUMES,
    Container,
    Known,
    Observed,
    Sandbox,
    probes_of,
)
from pilothouse.services.kubelet.pod.plans import (
    EnsureImage,
    Plan,
    PrepareVolumes,
    RemoveContainer,
    RemoveSandbox,
    ResizeContainer,
    ResumeContainer,
    RunSandbox,
    StartContainer,
    StopSandbox,
)
from pilothouse.services.kubelet.pod.views import Container as Spec
from pilothouse.services.kubelet.pod.views import EphemeralContainer, Pod
from pilothouse.services.kubelet.resources import resizing
from pilothouse.services.machinery import timestamps

INSTANCES_KEPT = 2
TERMINAL = frozenset({"Succeeded", "Failed"})


def fingerprint(spec: Spec) -> str:
    """Changes when a running container no longer is what the spec asks for."""
    return f"{zlib.crc32(f'{spec.name} {spec.image}'.encode()):08x}"


def deadline(pod: Pod) -> float | None:
    """When the pod has been active for too long, in seconds since the epoch."""
    started = pod.status.get("startTime")
    if pod.spec.active_deadline_seconds is None or not started:
        return None
    return timestamps.parse(started) + pod.spec.active_deadline_seconds


def is_overdue(pod: Pod, now: float) -> bool:
    """Whether the pod has run past its ``activeDeadlineSeconds``."""
    due = deadline(pod)
    return due is not None and now >= due


def failed_init(pod: Pod, observed: Observed) -> Container | None:
    """The init container whose failure ends the pod."""
    for spec in pod.spec.init_containers:
        current = observed.current(spec.name)
        if (
            current is not None
            and not spec.is_sidecar
            and current.state == "exited"
            and current.exit_code != 0
            and not restarts.should_run_again(pod, spec, current)
        ):
            return current
    return None


def is_finished(pod: Pod, observed: Observed, now: float) -> bool:
    """Whether its containers have ended for good, or must."""
    if pod.status.get("phase") in TERMINAL or is_overdue(pod, now):
        return True
    if failed_init(pod, observed) is not None:
        return True
    for spec in pod.spec.containers:
        current = observed.current(spec.name)
        if current is None or current.state != "exited":
            return False
        if restarts.should_run_again(pod, spec, current):
            return False
    return True


def pending_init(pod: Pod, observed: Observed, known: Known) -> Spec | None:
    """The init container whose turn it is in the present sandbox; None when all have had it."""
    sandbox = observed.sandbox
    here = {item.name: item for item in reversed(observed.containers) if _is_in(item, sandbox)}
    if any(spec.name in here for spec in pod.spec.containers):
        return None
    for spec in pod.spec.init_containers:
        found = here.get(spec.name)
        if found is None:
            return spec
        if spec.is_sidecar:
            if found.state != "running" or not has_started(spec, found, known):
                return spec
        elif found.state != "exited" or found.exit_code != 0:
            return spec
    return None


def has_started(spec: Spec, container: Container, known: Known) -> bool:
    """Whether a running container is through its postStart hook and startup probe."""
    if container.name in known.hooking:
        return False
    return spec.startup_probe is None or probes_of(known, container).started is True


def _is_in(container: Container, sandbox: Sandbox | None) -> bool:
    return sandbox is not None and container.sandbox_id == sandbox.id


def plan(
    pod: Pod, observed: Observed, known: Known, now: float, leaving: Leaving | None = None
) -> Plan:
    """What to do now; ``leaving`` when the pod is deleted or no longer meant for this node."""
    draft = Draft(pod, observed, known, now)
    if leaving is not None:
        ending.rest(draft, leaving.grace_seconds)
        ended = not draft.acts and not observed.alive()
        return Plan(tuple(draft.acts), None, ended)
    if observed.abandoned:
        return Plan(tuple(RemoveContainer(item.id) for item in observed.abandoned))
    if is_finished(pod, observed, now):
        ending.rest(draft, float(pod.spec.termination_grace_period_seconds))
        return draft.plan()
    overdue = deadline(pod)
    if overdue is not None:
        draft.again.append(overdue)
    if not known.volumes_ready and draft.may(VOLUMES):
        draft.acts.append(PrepareVolumes())
    sandbox = observed.sandbox
    if sandbox is None or not sandbox.ready:
        _remake(draft, sandbox)
    else:
        _tidy(draft, sandbox)
        _advance(draft, sandbox)
    return draft.plan()


def _remake(draft: Draft, dead: Sandbox | None) -> None:
    """A first sandbox, or one in the place of the dead one."""
    for container in draft.observed.alive():
        draft.stop(container, f"Stopping container {container.name}", _grace(draft.pod))
    if draft.observed.alive():
        return
    if draft.may(SANDBOX):
        attempt = 0 if dead is None else dead.attempt + 1
        draft.acts.append(RunSandbox(attempt, "" if dead is None else dead.id))
    for spec in draft.pod.spec.init_containers[:1] or draft.pod.spec.containers:
        _ensure_image(draft, spec)


def _tidy(draft: Draft, sandbox: Sandbox) -> None:
    """Remove what nobody will ask for: all but the two newest instances, emptied sandboxes."""
    for container in draft.observed.alive():
        if _is_stray(draft.observed, container):
            draft.stop(container, f"Stopping container {container.name}", _grace(draft.pod))
    names = {item.name for item in draft.observed.containers}
    kept: set[str] = set()
    for name in sorted(names):
        instances = draft.observed.of(name)
        kept.add(instances[0].sandbox_id)
        for container in instances[INSTANCES_KEPT:]:
            if container.state == "exited" and _is_in(container, sandbox):
                draft.acts.append(RemoveContainer(container.id, container.log_path))
    for old in draft.observed.sandboxes[1:]:
        if old.id not in kept:
            draft.acts.append(RemoveSandbox(old.id))
        elif old.ready:
            draft.acts.append(StopSandbox(old.id))


def _advance(draft: Draft, sandbox: Sandbox) -> None:
    pod = draft.pod
    for guest in pod.spec.ephemeral_containers:
        _admit(draft, sandbox, guest)
    waiting_for = pending_init(pod, draft.observed, draft.known)
    for spec in pod.spec.init_containers:
        if waiting_for is not None and spec.name == waiting_for.name:
            _keep(draft, sandbox, spec)
            return
        if spec.is_sidecar:
            _keep(draft, sandbox, spec)
    for spec in pod.spec.containers:
        _keep(draft, sandbox, spec)


def _admit(draft: Draft, sandbox: Sandbox, guest: EphemeralContainer) -> None:
    """Start it once; not before the container whose processes it is to see."""
    if draft.pod.recorded(guest.name).get("containerID"):
        return
    target = draft.observed.current(guest.target_container_name)
    if guest.target_container_name and (target is None or target.state != "running"):
        return
    _keep(draft, sandbox, guest)


def _keep(draft: Draft, sandbox: Sandbox, spec: Spec) -> None:
    """Start it, let it run, or run it again."""
    if any(_is_stray(draft.observed, item) for item in draft.observed.alive()):
        return
    current = draft.observed.current(spec.name)
    if current is None or not _is_in(current, sandbox):
        if current is None or _runs_anew(draft.pod, spec, current):
            _start(draft, sandbox, spec, current)
        return
    match current.state:
        case "created":
            if draft.may(spec.name):
                draft.acts.append(ResumeContainer(current.id, spec.name))
        case "running":
            _watch_over(draft, spec, current)
        case "unknown":
            message = f"Container {spec.name} is in unknown state, try killing it before restart"
            draft.stop(current, message, _grace(draft.pod))
        case "exited":
            _rerun(draft, sandbox, spec, current)


def _rerun(draft: Draft, sandbox: Sandbox, spec: Spec, ended: Container) -> None:
    """After its end: again, later again, or never."""
    if not restarts.should_run_again(draft.pod, spec, ended):
        return
    due = restarts.due_at(ended)
    if draft.now < due:
        draft.again.append(due)
        draft.backing_off.append(ended)
    else:
        _start(draft, sandbox, spec, ended)


def _is_stray(observed: Observed, container: Container) -> bool:
    """Whether it runs where nobody looks: in an old sandbox, or beside its successor."""
    current = observed.current(container.name)
    in_old = not _is_in(container, observed.sandbox)
    return in_old or (current is not None and current.id != container.id)


def _runs_anew(pod: Pod, spec: Spec, before: Container) -> bool:
    """Whether a container of a dead sandbox runs in the new one; init containers always do."""
    if spec in pod.spec.init_containers:
        return True
    return restarts.should_run_again(pod, spec, before)


def _watch_over(draft: Draft, spec: Spec, current: Container) -> None:
    health = probes_of(draft.known, current)
    if health.failed:
        grace = _grace(draft.pod) if health.grace_seconds is None else health.grace_seconds
        message = f"Container {spec.name} failed {health.failed} probe, will be restarted"
        draft.stop(current, message, float(grace))
    elif current.made_of and current.made_of != fingerprint(spec):
        message = f"Container {spec.name} definition changed, will be restarted"
        draft.stop(current, message, _grace(draft.pod))
    else:
        _resize(draft, spec, current)


def _resize(draft: Draft, spec: Spec, current: Container) -> None:
    """Other resources than those in force, where the node has them."""
    names = resizing.changed(spec, draft.known.resources.get(current.id))
    if not names:
        return
    if draft.known.refusal[0]:
        draft.again.append(draft.now + resizing.RETRY_SECONDS)
    elif resizing.restarts(spec, names):
        message = f"Container {spec.name} resize requires restart"
        draft.stop(current, message, _grace(draft.pod))
    elif draft.may(resizing.IN_PROGRESS):
        draft.acts.append(ResizeContainer(current.id, spec.name))


def _start(draft: Draft, sandbox: Sandbox, spec: Spec, before: Container | None) -> None:
    if not _ensure_image(draft, spec) or not draft.known.volumes_ready:
        return
    if before is not None:
        attempt = before.attempt + 1
    else:
        attempt = _attempt_after(draft.pod.recorded(spec.name))
    wait = restarts.next_wait(before, draft.known.restart_wait_max)
    target = None
    if isinstance(spec, EphemeralContainer) and spec.target_container_name:
        target = draft.observed.current(spec.target_container_name)
    target_id = "" if target is None else target.id
    draft.acts.append(StartContainer(spec.name, attempt, sandbox.id, wait, target_id))


def _attempt_after(recorded: dict[str, Any]) -> int:
    """Where the runtime has none: one more than was told of, unless that one never ran."""
    told = int(recorded.get("restartCount", 0))
    never_ran = "waiting" in recorded.get("state", {}) and not recorded.get("lastState")
    return told + 1 if recorded.get("containerID") and not never_ran else told


def _ensure_image(draft: Draft, spec: Spec) -> bool:
    """Whether its image is at hand; asks for it otherwise."""
    if not draft.may(spec.name):
        return False
    if spec.name in draft.known.images:
        return True
    if spec.name not in draft.known.pulling:
        draft.acts.append(EnsureImage(spec.name))
    return False


def _grace(pod: Pod) -> float:
    return float(pod.spec.termination_grace_period_seconds)
