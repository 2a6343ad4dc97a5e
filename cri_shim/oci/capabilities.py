"""What a process may do beyond an ordinary user."""

from collections.abc import Iterable
from typing import Any

from pilothouse.cri_shim.configs import Capability
from pilothouse.services.machinery.errors import Invalid

_NAMES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE
SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
ALL = tuple(f"CAP_{name}" for name in _NAMES.split())
"""In the kernel's order: bit n is the n-th."""

_USUAL = """
CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP
NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE
"""
DEFAULT = frozenset(f"CAP_{name}" for name in _USUAL.split())


def granted(asked: Capability, held: int, *, privileged: bool) -> tuple[str, ...]:
    """The bounding set, in order; ``held`` is the bit set that this very process may give."""
    known = [name for bit, name in enumerate(ALL) if held >> bit & 1]
    if privileged:
        return tuple(known)
    added = _names((*asked.add_capabilities, *asked.add_ambient_capabilities))
    dropped = _names(asked.drop_capabilities)
    have = set(ALL) if "CAP_ALL" in added else set(DEFAULT)
    if "CAP_ALL" in dropped:
        have = set()
    have = (have | (added - {"CAP_ALL"})) - (dropped - {"CAP_ALL"})
    return tuple(name for name in known if name in have)


def of_process(asked: Capability, held: int, *, privileged: bool) -> dict[str, Any]:
    """The sets of an OCI process; what is inherited is only what is asked for as ambient."""
    bounding = list(granted(asked, held, privileged=privileged))
    ambient = [name for name in bounding if name in _names(asked.add_ambient_capabilities)]
    sets = {"bounding": bounding, "effective": bounding, "permitted": bounding}
    if ambient:
        sets |= {"inheritable": ambient, "ambient": ambient}
    return sets


def _names(names: Iterable[str]) -> set[str]:
    found = {f"CAP_{name.upper().removeprefix('CAP_')}" for name in names}
    unknown = found - set(ALL) - {"CAP_ALL"}
    if unknown:
        raise Invalid(f"unknown capability {', '.join(sorted(unknown))}")
    return found
