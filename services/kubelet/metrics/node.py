"""``/metrics``: how many pods there are and how they do, beside what is counted. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pilothouse.services.kubelet.pod.observed import Observed
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.runtime.exposition import Family

ENDED = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class Seen:
    """One pod as its worker sees it. ``static``: it comes from this node itself."""

    pod: Pod
    observed: Observed
    phase: str
    static: bool = False


@dataclass(frozen=True, slots=True)
class About:
    """The node, and what its certificates have left (seconds; None: it has none)."""

    name: str
    client_seconds: float | None = None
    server_seconds: float | None = None


def families(about: About, pods: Iterable[Seen]) -> Iterator[Family]:
    """What can be told by looking."""
    told = "The node's name. The count is always 1."
    yield Family("kubelet_node_name", "gauge", told).add(1, ("node", about.name))
    running, states = 0, Counter[str]()
    active, desired, mirrors = Counter[bool](), Counter[bool](), 0
    for seen in pods:
        sandbox = seen.observed.sandbox
        running += sandbox is not None and sandbox.ready
        states.update(item.state for item in seen.observed.containers)
        desired[seen.static] += 1
        active[seen.static] += seen.phase not in ENDED
        mirrors += seen.static
    yield Family(
        "kubelet_running_pods", "gauge", "Number of pods that have a running pod sandbox"
    ).add(running)
    containers = Family(
        "kubelet_running_containers", "gauge", "Number of containers by their state"
    )
    for state in ("created", "exited", "running", "unknown"):
        if states[state] or state == "running":
            containers.add(states[state], ("container_state", state))
    yield containers
    for name, counts, help_ in (
        ("kubelet_active_pods", active, "Pods that the kubelet counts as active."),
        ("kubelet_desired_pods", desired, "Pods that the kubelet is told to run."),
    ):
        family = Family(name, "gauge", help_)
        for static in (False, True):
            family.add(counts[static], ("static", "true" if static else ""))
        yield family
    yield Family("kubelet_mirror_pods", "gauge", "Mirrors of static pods.").add(mirrors)
    for word, left in (("client", about.client_seconds), ("server", about.server_seconds)):
        if left is not None:
            name = f"kubelet_certificate_manager_{word}_ttl_seconds"
            help_ = f"Seconds that the {word} certificate has left; negative when it has ended."
            yield Family(name, "gauge", help_).add(left)


def built(version: str, python: str) -> Family:
    """What this is."""
    major, minor = (*version.removeprefix("v").split("."), "")[:2]
    labels = (
        ("build_date", ""), ("compiler", ""), ("git_commit", ""), ("git_tree_state", ""),
        ("git_version", version), ("go_version", python), ("major", major), ("minor", minor),
        ("platform", ""),
    )  # fmt: skip
    told = "The version of Kubernetes that this speaks."
    return Family("kubernetes_build_info", "gauge", told).add(1, *labels)
