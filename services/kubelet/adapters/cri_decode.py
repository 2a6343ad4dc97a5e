"""From CRI's messages to what the kubelet observes."""

from pathlib import Path

from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.services.kubelet.pod import configs
from pilothouse.services.kubelet.pod.observed import Container, Sandbox, State

NANOSECONDS = 1_000_000_000
MESSAGE_BYTES_MAX = 4096
LOG_BYTES_MAX = 2048

_STATES: dict[int, State] = {
    cri.CONTAINER_CREATED: "created",
    cri.CONTAINER_RUNNING: "running",
    cri.CONTAINER_EXITED: "exited",
    cri.CONTAINER_UNKNOWN: "unknown",
}


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
    state = _STATES[status.state]
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
    )


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
        lines = _tail(Path(status.log_path), LOG_BYTES_MAX).splitlines()
        return "\n".join(line.split(" ", 3)[-1] for line in lines)
    return status.message


def _tail(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(file.tell() - limit, 0))
            return file.read(limit).decode(errors="replace")
    except OSError:
        return ""
