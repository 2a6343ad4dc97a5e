"""How a container ended, as its record says it."""

from msgspec.structs import replace

from pilothouse.cri_shim.ports import Exit
from pilothouse.cri_shim.records import EXITED, ContainerRecord

COMPLETED, ERROR, OOM_KILLED = "Completed", "Error", "OOMKilled"
START_ERROR, START_ERROR_CODE = "StartError", 128
UNKNOWN, UNKNOWN_CODE = "Unknown", 255


def ended(record: ContainerRecord, exit_: Exit, *, out_of_memory: bool) -> ContainerRecord:
    """Its process ended by itself or by a signal."""
    reason = ERROR if exit_.status else COMPLETED
    return replace(
        record,
        state=EXITED,
        pid=0,
        exit_code=exit_.status,
        finished_at=max(exit_.at, record.started_at),
        reason=OOM_KILLED if out_of_memory else reason,
    )


def killed_for_memory(record: ContainerRecord) -> ContainerRecord:
    """That is why it ended, as is known now."""
    return replace(record, reason=OOM_KILLED)


def not_started(record: ContainerRecord, now: int, why: str) -> ContainerRecord:
    """It was asked to start and did not."""
    return replace(
        record, state=EXITED, pid=0, exit_code=START_ERROR_CODE, reason=START_ERROR, message=why,
        started_at=record.created_at, finished_at=now,
    )  # fmt: skip


def lost(record: ContainerRecord, now: int) -> ContainerRecord:
    """It ran, and nobody knows how it ended: the machine went down, or the runtime forgot it."""
    return replace(
        record, state=EXITED, pid=0, exit_code=UNKNOWN_CODE, reason=UNKNOWN, finished_at=now
    )
