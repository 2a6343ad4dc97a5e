"""From CRI's messages to what the kubelet observes."""

from pathlib import Path

from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.services.kubelet.pod import configs
from pilothouse.services.kubelet.pod.observed import Container, Sandbox, State, User
from pilothouse.services.kubelet.ports import HandlerState

NANOSECONDS = 1_000_000_000
MESSAGE_BYTES_MAX = 4096
LOG_BYTES_MAX = 2048
LOG_LINES_MAX = 80
LOG_FILE_BYTES_MAX = 16 * 1024
"""Read of a log: enough for that many lines with what the runtime puts before each."""

STATES: dict[int, State] = {
    cri.CONTAINER_CREATED: "created",
    cri.CONTAINER_RUNNING: "running",
    cri.CONTAINER_EXITED: "exited",
    cri.CONTAINER_UNKNOWN: "unknown",
}


def handlers(status: cri.StatusResponse) -> tuple[HandlerState, ...]:
    """What the runtime's handlers can do, by name."""
    found = (
        HandlerState(
            item.name, item.features.user_namespaces, item.features.recursive_read_only_mounts
        )
        for item in status.runtime_handlers
    )
    return tuple(sorted(found, key=lambda item: item.name))


def sandbox(status: cri.PodSandboxStatus) -> Sandbox:
    """One sandbox, with its addresses."""
    ips = [status.network.ip, *(item.ip for item in status.network.additional_ips)]
    return Sandbox(
        id=status.id,
        attempt=status.metadata.attempt,
        ready=status.state == cri.SANDBOX_READY,
        created_at=status.created_at / NANOSECONDS,
        ips=tuple(ip for ip in ips if ip),
    )


def container(status: cri.ContainerStatus, sandbox_id: str) -> Container:
    """One container; of an ended one also the message it left."""
    state = STATES[status.state]
    annotations = status.annotations
    return Container(
        id=status.id,
        name=status.metadata.name,
        attempt=status.metadata.attempt,
        sandbox_id=sandbox_id,
        state=state,
        image=status.image.image,
        image_id=status.image_ref,
        created_at=status.created_at / NANOSECONDS,
        started_at=status.started_at / NANOSECONDS,
        finished_at=status.finished_at / NANOSECONDS,
        exit_code=status.exit_code,
        reason=status.reason,
        message=_message(status) if state == "exited" else "",
        made_of=annotations.get(configs.CONTAINER_HASH, ""),
        wait_seconds=float(annotations.get(configs.WAIT_SECONDS, "0")),
        log_path=status.log_path,
        user=_user(status.user),
        stop_signal=cri.Signal.Name(status.stop_signal).removeprefix("SIGNAL_")
        if status.stop_signal
        else "",
    )


def _user(user: cri.ContainerUser) -> User | None:
    if not user.HasField("linux"):
        return None
    return User(user.linux.uid, user.linux.gid, tuple(user.linux.supplemental_groups))


def _message(status: cri.ContainerStatus) -> str:
    """What the container wrote for its termination message, or the runtime's own words."""
    path = status.annotations.get(configs.MESSAGE_PATH, "")
    for mount in status.mounts:
        if path and mount.container_path == path:
            left = _tail(Path(mount.host_path), MESSAGE_BYTES_MAX)
            if left:
                return left
    policy = status.annotations.get(configs.MESSAGE_POLICY, "")
    if policy == "FallbackToLogsOnError" and status.exit_code != 0:
        return _end_of_log(Path(status.log_path))
    return status.message


def _end_of_log(path: Path) -> str:
    """The last lines that a container wrote, without what the runtime puts before each."""
    text = ""
    lines = _tail(path, LOG_FILE_BYTES_MAX).splitlines()[-LOG_LINES_MAX:]
    for line in lines:
        _, _, rest = line.partition(" ")
        _, _, rest = rest.partition(" ")
        tag, _, content = rest.partition(" ")
        text += content if tag == "P" else f"{content}\n"
    return text[-LOG_BYTES_MAX:]


def _tail(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(file.tell() - limit, 0))
            return file.read(limit).decode(errors="replace")
    except OSError:
        return ""
