"""``containerStatuses``: what is told of one container."""

from typing import Any

from pilothouse.services.kubelet.pod import restarts
from pilothouse.services.kubelet.pod.lifecycle import TERMINAL, has_started
from pilothouse.services.kubelet.pod.observed import Container, Known, Observed, probes_of
from pilothouse.services.kubelet.pod.views import Container as Spec
from pilothouse.services.kubelet.pod.views import Pod, full_name
from pilothouse.services.kubelet.resources import resizing
from pilothouse.services.kubelet.volumes.sources import VolumeMount
from pilothouse.services.machinery import timestamps

RUNTIME = "containerd"
LOST = {
    "exitCode": 137,
    "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was terminated",
}


def render(pod: Pod, spec: Spec, observed: Observed, known: Known, now: float) -> dict[str, Any]:
    """One entry; times come from the runtime, so the same observation gives the same entry."""
    recorded = pod.recorded(spec.name)
    instances = observed.of(spec.name)
    if not instances:
        return _without_container(pod, spec, recorded, known)
    current = instances[0]
    state = _state(pod, spec, current, known, now)
    entry: dict[str, Any] = {
        "name": spec.name,
        "image": spec.image,
        "imageID": current.image_id,
        "containerID": f"{RUNTIME}://{current.id}",
        "restartCount": current.attempt,
        "state": state,
        "lastState": {},
        "ready": False,
        "started": False,
    }
    if "waiting" in state and current.state == "exited":
        entry["lastState"] = terminated(current)
    elif len(instances) > 1:
        entry["lastState"] = terminated(instances[1])
    elif recorded.get("restartCount") == current.attempt:
        entry["lastState"] = recorded.get("lastState") or {}
    if current.state == "running":
        entry["started"] = has_started(spec, current, known)
        entry["ready"] = entry["started"] and is_ready(spec, current, known)
    elif spec in pod.spec.init_containers and not spec.is_sidecar:
        entry["ready"] = current.state == "exited" and current.exit_code == 0
    in_force = known.resources.get(current.id) or resizing.recorded(pod, spec.name, current.id)
    return entry | resizing.told(spec, in_force) | _of_the_start(spec, current)


def _of_the_start(spec: Spec, current: Container) -> dict[str, Any]:
    """What does not change as long as this very container is there."""
    told: dict[str, Any] = {}
    if spec.volume_mounts:
        told["volumeMounts"] = [_mounted(mount) for mount in spec.volume_mounts]
    if current.user is not None:
        user = {"uid": current.user.uid, "gid": current.user.gid}
        groups = {"supplementalGroups": list(current.user.groups)} if current.user.groups else {}
        told["user"] = {"linux": user | groups}
    if current.stop_signal:
        told["stopSignal"] = current.stop_signal
    return told


def _mounted(mount: VolumeMount) -> dict[str, Any]:
    told: dict[str, Any] = {"name": mount.name, "mountPath": mount.mount_path}
    if mount.read_only:
        mode = "Enabled" if mount.recursive_read_only == "Enabled" else "Disabled"
        told |= {"readOnly": True, "recursiveReadOnly": mode}
    return told


def of_guest(pod: Pod, spec: Spec, observed: Observed, known: Known, now: float) -> dict[str, Any]:
    """The entry of an ephemeral container: nobody waits for it to be ready."""
    entry = render(pod, spec, observed, known, now)
    return {name: value for name, value in entry.items() if name != "started"} | {"ready": False}


def is_ready(spec: Spec, container: Container, known: Known) -> bool:
    """Whether the readiness probe, if there is one, says so."""
    return spec.readiness_probe is None or probes_of(known, container).ready is True


def terminated(container: Container) -> dict[str, Any]:
    """The state of a container that ended."""
    if container.state != "exited":
        return {}
    ended: dict[str, Any] = {
        "exitCode": container.exit_code,
        "reason": container.reason or ("Completed" if container.exit_code == 0 else "Error"),
        "containerID": f"{RUNTIME}://{container.id}",
    }
    if container.started_at > 0:
        ended["startedAt"] = timestamps.render(container.started_at)
    if container.finished_at > 0:
        ended["finishedAt"] = timestamps.render(container.finished_at)
    if container.message:
        ended["message"] = container.message
    return {"terminated": ended}


def _without_container(
    pod: Pod, spec: Spec, recorded: dict[str, Any], known: Known
) -> dict[str, Any]:
    """The runtime has none: it never ran, or its record outlived it."""
    state = recorded.get("state") or {}
    if "terminated" in state:
        return recorded
    entry: dict[str, Any] = {
        "name": spec.name,
        "image": spec.image,
        "imageID": "",
        "restartCount": 0,
        "state": _waiting(pod, spec, known),
        "lastState": {},
        "ready": False,
        "started": False,
    }
    if "running" in state and (pod.metadata.deleting or pod.status.get("phase") in TERMINAL):
        return recorded | {"state": {"terminated": LOST}, "ready": False, "started": False}
    if "running" in state:
        was = "The container used to be Running"
        text = f"The container could not be located when the pod was deleted.  {was}"
        gone = LOST | {"message": text}
        entry.update(imageID=recorded.get("imageID", ""), lastState={"terminated": gone})
        entry["restartCount"] = recorded.get("restartCount", 0)
        entry["containerID"] = recorded.get("containerID", "")
    return entry


def _waiting(pod: Pod, spec: Spec, known: Known) -> dict[str, Any]:
    trouble = known.troubles.get(spec.name)
    if trouble is not None:
        return {"waiting": {"reason": trouble.reason, "message": trouble.message}}
    reason = "ContainerCreating"
    if pod.spec.init_containers:
        reason = "PodInitializing"
    return {"waiting": {"reason": reason}}


def _state(pod: Pod, spec: Spec, current: Container, known: Known, now: float) -> dict[str, Any]:
    match current.state:
        case "running":
            return {"running": {"startedAt": timestamps.render(current.started_at)}}
        case "created":
            return _waiting(pod, spec, known)
        case "unknown":
            return {"terminated": LOST}
    again = not pod.metadata.deleting and restarts.should_run_again(pod, spec, current)
    if again and pod.status.get("phase") not in {"Succeeded", "Failed"}:
        if spec.name in known.troubles:
            return _waiting(pod, spec, known)
        due = restarts.due_at(current)
        if now < due:
            wait = round(due - current.finished_at)
            return {"waiting": {
                "reason": "CrashLoopBackOff",
                "message": f"back-off {_go_duration(wait)} restarting failed "
                f"container={spec.name} pod={full_name(pod)}",
            }}  # fmt: skip
    return terminated(current)


def _go_duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
