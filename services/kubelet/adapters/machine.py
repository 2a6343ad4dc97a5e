"""What this machine is, read from the kernel and the system's files."""

import fcntl
import os
import platform
import socket
import struct
from pathlib import Path

from pilothouse.services.kubelet.node import Machine

SIOCGIFMTU = 0x8921
MTU_DEFAULT = 1500
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def read(root: Path) -> Machine:
    """``root`` is the directory whose file system counts as the node's storage."""
    storage = os.statvfs(root)
    machine = platform.machine()
    return Machine(
        cpus=os.cpu_count() or 1,
        memory_bytes=_memory_bytes(),
        storage_bytes=storage.f_blocks * storage.f_frsize,
        architecture=_ARCHITECTURES.get(machine, machine),
        machine_id=_line("/etc/machine-id"),
        system_uuid=_line("/sys/class/dmi/id/product_uuid") or _line("/etc/machine-id"),
        boot_id=_line("/proc/sys/kernel/random/boot_id"),
        kernel_version=platform.release(),
        os_image=_os_image(),
    )


def _memory_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def _os_image() -> str:
    for line in _text("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _line(path: str) -> str:
    return _text(path).strip()


def mtu(interface: str) -> int:
    """Of an interface in our network namespace; /sys may show another namespace's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16si12x", interface.encode(), 0)
        try:
            answer = fcntl.ioctl(probe, SIOCGIFMTU, request)
        except OSError:
            return MTU_DEFAULT
    return int(struct.unpack("16si12x", answer)[1])
