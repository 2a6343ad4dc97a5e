"""What this machine is, read from the kernel and the system's files."""

import array
import fcntl
import os
import platform
import socket
import struct
from pathlib import Path

from pilothouse.services.kubelet.node.node import Machine
from pilothouse.services.machinery import quantity

SIOCGIFCONF = 0x8912
SIOCGIFMTU = 0x8921
INTERFACES_MAX = 1024
MTU_DEFAULT = 1500
HUGEPAGES = Path("/sys/kernel/mm/hugepages")
# struct ifconf; struct ifreq with a sockaddr_in in it.
_IFCONF = struct.Struct("iP")
_IFREQ = struct.Struct("16s4x4s16x")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def read(root: Path) -> Machine:
    """``root`` is the directory whose file system counts as the node's storage."""
    storage = os.statvfs(root)
    machine = platform.machine()
    return Machine(
        cpus=os.cpu_count() or 1,
        memory_bytes=_meminfo("MemTotal"),
        swap_bytes=_meminfo("SwapTotal"),
        hugepages=_hugepages(),
        storage_bytes=storage.f_blocks * storage.f_frsize,
        architecture=_ARCHITECTURES.get(machine, machine),
        machine_id=_line("/etc/machine-id"),
        system_uuid=_line("/sys/class/dmi/id/product_uuid") or _line("/etc/machine-id"),
        boot_id=_line("/proc/sys/kernel/random/boot_id"),
        kernel_version=platform.release(),
        os_image=_os_image(),
    )


def _meminfo(name: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def _hugepages() -> dict[str, int]:
    """Bytes in pools of huge pages, by the size of a page (``2Mi``)."""
    found = {}
    for pool in HUGEPAGES.glob("hugepages-*kB"):
        kibibytes = int(pool.name.removeprefix("hugepages-").removesuffix("kB"))
        count = int(_line(str(pool / "nr_hugepages")) or 0)
        found[quantity.canonical(f"{kibibytes}Ki")] = count * kibibytes * 1024
    return found


def swaps() -> bool:
    """Whether memory is swapped out to a disk."""
    lines = _text("/proc/swaps").splitlines()[1:]
    return any(line and not line.startswith("/dev/zram") for line in lines)


def processes_max() -> int:
    """How many processes and threads the kernel allows; 0 where it does not say."""
    limits = ("/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max")
    return min((int(text) for text in map(_line, limits) if text.isdigit()), default=0)


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


def interface_of(address: str) -> str:
    """The interface of our network namespace that has this IPv4 address; empty when none has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answers = array.array("B", bytes(INTERFACES_MAX * _IFREQ.size))
        where, size = answers.buffer_info()
        filled, _ = _IFCONF.unpack(fcntl.ioctl(probe, SIOCGIFCONF, _IFCONF.pack(size, where)))
    for name, found in _IFREQ.iter_unpack(answers.tobytes()[:filled]):
        if socket.inet_ntoa(found) == address:
            # An address of its own label is "eth0:1" here.
            return str(name.rstrip(b"\0").decode().partition(":")[0])
    return ""


def mtu(interface: str) -> int:
    """Of an interface in our network namespace; /sys may show another namespace's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16si12x", interface.encode(), 0)
        try:
            answer = fcntl.ioctl(probe, SIOCGIFMTU, request)
        except OSError:
            return MTU_DEFAULT
    return int(struct.unpack("16si12x", answer)[1])
