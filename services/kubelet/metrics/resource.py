"""``/metrics/resource``: what metrics-server reads for ``kubectl top`` and autoscaling. Pure."""

from collections.abc import Iterator

from pilothouse.services.kubelet.stats.values import Cgroup, Usage
from pilothouse.services.runtime.exposition import Family, Labels

NANOSECONDS = 1e9


class _Three:
    """CPU time, working set and swap of one sort of thing."""

    def __init__(self, sort: str, of: str) -> None:
        self.cpu = Family(
            f"{sort}_cpu_usage_seconds_total", "counter",
            f"Cumulative cpu time consumed by the {of} in core-seconds",
        )  # fmt: skip
        self.memory = Family(
            f"{sort}_memory_working_set_bytes", "gauge",
            f"Current working set of the {of} in bytes",
        )  # fmt: skip
        self.swap = Family(
            f"{sort}_swap_usage_bytes", "gauge",
            f"Current amount of the {of} swap usage in bytes.",
        )  # fmt: skip

    def add(self, cgroup: Cgroup | None, *labels: tuple[str, str]) -> None:
        if cgroup is None:
            return
        self.cpu.add(cgroup.cpu_nanoseconds / NANOSECONDS, *labels, at=cgroup.at)
        self.memory.add(cgroup.memory.working_set_bytes, *labels, at=cgroup.at)
        if cgroup.memory.swap_bytes is not None:
            self.swap.add(cgroup.memory.swap_bytes, *labels, at=cgroup.at)


def families(usage: Usage | None) -> Iterator[Family]:
    """None: it could not be told, which is an error of the scrape."""
    node, pods = _Three("node", "node"), _Three("pod", "pod")
    containers = _Three("container", "container")
    starts = Family(
        "container_start_time_seconds", "gauge",
        "Start time of the container since unix epoch in seconds",
    )  # fmt: skip
    if usage is not None:
        node.add(usage.node.part.cgroup)
        for pod in usage.pods:
            about: Labels = (("namespace", pod.namespace), ("pod", pod.name))
            pods.add(pod.part.cgroup, *about)
            for container in pod.containers:
                own = (("container", container.name), *about)
                containers.add(container.part.cgroup, *own)
                if container.part.started_at > 0:
                    starts.add(container.part.started_at, *own)
    for three in (node, pods, containers):
        yield from (three.cpu, three.memory, three.swap)
    yield starts
    failed = 1 if usage is None else 0
    for name in ("scrape_error", "resource_scrape_error"):
        told = "1 if there was an error while getting container metrics, 0 otherwise"
        yield Family(name, "gauge", told).add(failed)
