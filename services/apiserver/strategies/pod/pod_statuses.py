"""What a write of a pod's status may not do."""

from collections.abc import Iterable

from pilothouse.services.apiserver.strategies.strategy import Body, immutable
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

_SYSTEM = frozenset({"PodScheduled", "Ready", "Initialized"})
_IPS_MAX = 2
_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")


def check_status(new: Body, old: Body) -> list[Cause]:
    """Conditions are named well, the quality stays, addresses are addresses, and containers that
    have ended for good stay so.
    """
    after, before = new.get("status") or {}, old.get("status") or {}
    causes = [
        cause
        for index, condition in enumerate(after.get("conditions") or ())
        if condition.get("type") not in _SYSTEM
        for cause in names.check(
            names.qualified, condition.get("type", ""), f"metadata.conditions[{index}].Type"
        )
    ]
    quality = after.get("qosClass")
    if before.get("qosClass") and quality != before["qosClass"]:
        causes += immutable("status.qosClass", quality, quality, before["qosClass"])
    causes += _restarts(after, before, new.get("spec") or {})
    for field in ("podIPs", "hostIPs"):
        causes += _addresses([item.get("ip", "") for item in after.get(field) or ()], field)
    return causes


def _addresses(ips: list[str], field: str) -> list[Cause]:
    causes = [
        cause
        for index, ip in enumerate(ips)
        for cause in names.check(names.address, ip, f"status.{field}[{index}]")
    ]
    if len(ips) > 1 and (len(ips) > _IPS_MAX or len({":" in ip for ip in ips}) != len(ips)):
        detail = "may specify no more than one IP for each IP family"
        causes.append(names.invalid(f"status.{field}", [{"ip": ip} for ip in ips], detail))
    return causes


def _restarts(after: Body, before: Body, spec: Body) -> list[Cause]:
    causes: list[Cause] = []
    policy = spec.get("restartPolicy", "Always")
    sidecars = {
        container.get("name")
        for container in spec.get("initContainers") or ()
        if container.get("restartPolicy") == "Always"
    }
    ruled = {
        container.get("name")
        for container in spec.get("containers") or ()
        if container.get("restartPolicy") is not None
    }
    for field in _STATUSES:
        ends = "Never" if field.startswith("ephemeral") else policy
        if ends != "Always":
            statuses = after.get(field) or (), before.get(field) or ()
            causes += _transitions(*statuses, ends, sidecars | ruled, field)
    return causes


def _transitions(
    after: Iterable[Body], before: Iterable[Body], policy: str, free: set[str], field: str
) -> list[Cause]:
    now = {status.get("name"): status.get("state") or {} for status in after}
    causes = []
    for index, status in enumerate(before):
        ended = (status.get("state") or {}).get("terminated")
        if ended is None or status.get("name") in free:
            continue
        if ended.get("exitCode") and policy == "OnFailure":
            continue
        state = now.get(status.get("name"))
        if state is not None and state.get("terminated") is None:
            detail = "may not be transitioned to non-terminated state"
            causes.append(names.forbidden(f"status.{field}[{index}].state", detail))
    return causes
