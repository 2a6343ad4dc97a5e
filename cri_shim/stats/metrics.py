"""Metrics under the names that cAdvisor gave them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pilothouse.cri_shim.stats.cgroups import Usage
from pilothouse.cri_shim.stats.collector import NANOSECONDS, Taken

COUNTER, GAUGE = 0, 1
LABELS = ("id", "name", "image")
INTERFACE_LABELS = (*LABELS, "interface")


class Descriptor(NamedTuple):
    """What a metric means, and its labels."""

    name: str
    help: str
    kind: int
    labels: tuple[str, ...] = LABELS


class Measured(NamedTuple):
    """One value, with the values of its labels."""

    name: str
    kind: int
    labels: tuple[str, ...]
    value: int


DESCRIPTORS = (
    Descriptor("container_cpu_usage_seconds_total", "CPU time spent, in seconds", COUNTER),
    Descriptor("container_memory_usage_bytes", "Memory in use, with all of the cache", GAUGE),
    Descriptor("container_memory_working_set_bytes", "Memory that can not be reclaimed", GAUGE),
    Descriptor("container_memory_rss", "Anonymous memory, in bytes", GAUGE),
    Descriptor("container_memory_cache", "Pages of files, in bytes", GAUGE),
    Descriptor("container_memory_swap", "Swap in use, in bytes", GAUGE),
    Descriptor("container_spec_memory_limit_bytes", "Limit of memory, 0 for none", GAUGE),
    Descriptor("container_processes", "Processes that run", GAUGE),
    Descriptor("container_fs_usage_bytes", "Bytes of the writable layer", GAUGE),
    Descriptor("container_fs_inodes_total", "Inodes of the writable layer", GAUGE),
    Descriptor("container_last_seen", "When it was seen, in seconds since 1970", GAUGE),
)
NETWORK_DESCRIPTORS = (
    Descriptor(
        "container_network_receive_bytes_total", "Bytes received", COUNTER, INTERFACE_LABELS
    ),
    Descriptor("container_network_receive_errors_total", "Errors", COUNTER, INTERFACE_LABELS),
    Descriptor("container_network_transmit_bytes_total", "Bytes sent", COUNTER, INTERFACE_LABELS),
    Descriptor("container_network_transmit_errors_total", "Errors", COUNTER, INTERFACE_LABELS),
)


def measure(taken: Taken, labels: tuple[str, str, str]) -> list[Measured]:
    """All that is known of one container or pod."""
    kinds = {found.name: found.kind for found in DESCRIPTORS}
    values = [*_usage(taken.usage), ("container_last_seen", taken.at // NANOSECONDS)]
    if taken.layer is not None:
        values.append(("container_fs_usage_bytes", taken.layer.bytes))
        values.append(("container_fs_inodes_total", taken.layer.inodes))
    found = [Measured(name, kinds[name], labels, value) for name, value in values]
    for carried in taken.interfaces:
        counters: Sequence[int] = carried[1:]
        found += [
            Measured(described.name, described.kind, (*labels, carried.name), value)
            for described, value in zip(NETWORK_DESCRIPTORS, counters, strict=True)
        ]
    return found


def _usage(usage: Usage) -> Iterator[tuple[str, int]]:
    if usage.cpu_nanoseconds is not None:
        yield "container_cpu_usage_seconds_total", usage.cpu_nanoseconds // NANOSECONDS
    if usage.memory is not None:
        memory = usage.memory
        yield "container_memory_usage_bytes", memory.usage
        yield "container_memory_working_set_bytes", memory.working_set
        yield "container_memory_rss", memory.rss
        yield "container_memory_cache", memory.cache
        yield "container_memory_swap", memory.swap
        yield "container_spec_memory_limit_bytes", memory.limit
    if usage.processes is not None:
        yield "container_processes", usage.processes
