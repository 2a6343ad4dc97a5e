"""Which system calls a container may make: the default profile, one of the node's, or any."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pilothouse.cri_shim.configs import LOCALHOST, RUNTIME_DEFAULT, UNCONFINED, SecurityProfile
from pilothouse.cri_shim.oci import syscalls
from pilothouse.services.machinery.errors import Invalid

AF_VSOCK = 40
NEW_NAMESPACES = 0x7E020000
"""The flags of clone(2) that make namespaces."""
PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
EPERM, ENOSYS = 1, 38


def wanted(profile: SecurityProfile | None, old_path: str = "") -> SecurityProfile:
    """The profile that is meant; ``old_path`` is how it was said before there were profiles."""
    if profile is not None:
        return profile
    if old_path in {"runtime/default", "docker/default"}:
        return SecurityProfile(RUNTIME_DEFAULT)
    if old_path.startswith("localhost/"):
        return SecurityProfile(LOCALHOST, old_path.removeprefix("localhost/"))
    if old_path not in {"", "unconfined"}:
        raise Invalid(f"invalid seccomp profile {old_path!r}")
    return SecurityProfile(UNCONFINED)


@lru_cache(64)
def default(capabilities: tuple[str, ...], machine: str) -> dict[str, Any]:
    """The runtime's default for a process with these capabilities (its bounding set)."""
    rules = [_allow(syscalls.ALWAYS)]
    rules.append(_allow(["socket"], [_argument(0, AF_VSOCK, "SCMP_CMP_NE")]))
    rules += [
        _allow(["personality"], [_argument(0, value, "SCMP_CMP_EQ")]) for value in PERSONALITIES
    ]
    own = syscalls.BY_ARCHITECTURE.get(machine)
    if own:
        rules.append(_allow(own))
    for capability, names in syscalls.BY_CAPABILITY.items():
        if capability in capabilities:
            rules.append(_allow(names))
    if "CAP_SYS_ADMIN" not in capabilities:
        flags = _argument(1 if machine == "s390x" else 0, NEW_NAMESPACES, "SCMP_CMP_MASKED_EQ")
        rules.append(_allow(["clone"], [flags | {"valueTwo": 0}]))
        rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "architectures": syscalls.FILTERS.get(machine, []),
        "syscalls": rules,
    }


def _argument(index: int, value: int, operator: str) -> dict[str, Any]:
    return {"index": index, "value": value, "op": operator}


def _allow(names: Sequence[str], arguments: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    rule: dict[str, Any] = {"names": list(names), "action": "SCMP_ACT_ALLOW"}
    if arguments:
        rule["args"] = list(arguments)
    return rule
