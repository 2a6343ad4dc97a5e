"""The flags of kube-controller-manager beyond those that :mod:`…config` reads one by one."""

import argparse
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from pilothouse.services.controllers.autoscaling.sizes import verdict
from pilothouse.services.controllers.autoscaling.sizes.samples import Periods
from pilothouse.services.controllers.node.pools import MASKS, Range
from pilothouse.services.controllers.node.zones import Patience, Rates
from pilothouse.services.machinery import durations
from pilothouse.services.runtime import commandline

CONCURRENT: Mapping[str, tuple[str, ...]] = {
    "concurrent-cron-job-syncs": ("cronjob",),
    "concurrent-daemonset-syncs": ("daemonset",),
    "concurrent-deployment-syncs": ("deployment",),
    "concurrent-device-taint-eviction-syncs": ("device-taint-eviction",),
    "concurrent-disruption-syncs": ("disruption",),
    "concurrent-endpoint-syncs": ("endpoints",),
    "concurrent-ephemeralvolume-syncs": ("ephemeral-volume",),
    "concurrent-gc-syncs": ("garbagecollector",),
    "concurrent-horizontal-pod-autoscaler-syncs": ("horizontal-pod-autoscaler",),
    "concurrent-job-syncs": ("job",),
    "concurrent-namespace-syncs": ("namespace",),
    "concurrent-rc-syncs": ("replicationcontroller",),
    "concurrent-replicaset-syncs": ("replicaset",),
    "concurrent-resource-quota-syncs": ("resourcequota",),
    "concurrent-resource-claim-syncs": ("resourceclaim", "resourceclaim-reservations"),
    "concurrent-service-endpoint-syncs": ("endpointslice",),
    "concurrent-serviceaccount-token-syncs": ("serviceaccount-token", "serviceaccount"),
    "concurrent-statefulset-syncs": ("statefulset",),
    "concurrent-ttl-after-finished-syncs": ("ttl-after-finished",),
    "concurrent-validating-admission-policy-status-syncs": ("validatingadmissionpolicy-status",),
    "mirroring-concurrent-service-endpoint-syncs": ("endpointslicemirroring",),
}
"""Which controllers each of these is for."""

ENDPOINTS_MAX = 1000
"""What the API lets one slice have."""

_UNUSED: Mapping[str, str] = {
    "nothing is looked at in turn: watches tell of every change, and what is due has its own timer":
        "min-resync-period namespace-sync-period node-monitor-period pvclaimbinder-sync-period",
    "each change is told of at once":
        "endpoint-updates-batch-period endpointslice-updates-batch-period "
        "mirroring-endpointslice-updates-batch-period",
    "all controllers begin together, and take turns":
        "controller-start-interval controllers-start-interval",
    "volumes are attached and cleared by their own drivers":
        "attach-detach-reconcile-sync-period disable-attach-detach-reconcile-sync "
        "disable-force-detach-on-timeout enable-hostpath-provisioner flex-volume-plugin-dir "
        "pv-recycler-increment-timeout-nfs pv-recycler-minimum-timeout-hostpath "
        "pv-recycler-minimum-timeout-nfs pv-recycler-pod-template-filepath-hostpath "
        "pv-recycler-pod-template-filepath-nfs pv-recycler-timeout-increment-hostpath",
    "there is no cloud here: a cloud controller manager does this":
        "cidr-allocator-type cloud-config cloud-provider cluster-name concurrent-service-syncs "
        "configure-cloud-routes external-cloud-volume-plugin route-reconciliation-period "
        "enable-leader-migration leader-migration-config",
    "the API server signs the tokens that Secrets hold":
        "service-account-private-key-file",
    "all controllers are one user, whom --client-certificate or --kubeconfig names":
        "use-service-account-credentials",
    "pods are evicted by taints": "pod-eviction-timeout",
}  # fmt: skip
"""Beyond what all components have; by the reason why nothing comes of them."""


def add_unused(parser: argparse.ArgumentParser) -> None:
    """Flags of upstream's that ask for nothing which is not so here, or which is not here."""
    commandline.add_unused(parser, _UNUSED)


def add_works(parser: argparse.ArgumentParser) -> None:
    """How many objects of a kind are worked on at once, and how long some are left alone."""
    parser.add_argument(
        "--legacy-service-account-token-clean-up-period",
        type=_period,
        default=8760 * 3600.0,
        metavar="DURATION",
        help="for how long a token that was made of itself may go unused",
    )
    for name, text in (
        ("enable-dynamic-provisioning", "whether claims of a class may have volumes made for them"),
        ("enable-garbage-collector", "whether what is owned goes with its owners"),
    ):
        commandline.add_switch(parser, name, text, default=True)
    parser.add_argument(
        "--resource-quota-sync-period",
        type=_period,
        default=300.0,
        metavar="DURATION",
        help="how often what is in use is counted anew whatever happens",
    )
    for name in CONCURRENT:
        names = {f"--{name}", f"--{name}".replace("concurrent-rc-syncs", "concurrent_rc_syncs")}
        parser.add_argument(*sorted(names), type=_positive, metavar="N")


def workers(flags: argparse.Namespace) -> dict[str, int]:
    """By controller, for those that are told."""
    told: dict[str, int] = {}
    for name, controllers in CONCURRENT.items():
        given = getattr(flags, name.replace("-", "_"))
        if given is not None:
            told |= dict.fromkeys(controllers, given)
    return told


def add_autoscaling(parser: argparse.ArgumentParser) -> None:
    """How HorizontalPodAutoscalers take their metrics."""
    for name, seconds in (
        ("sync-period", 15.0),
        ("downscale-stabilization", 300.0),
        ("cpu-initialization-period", 300.0),
        ("initial-readiness-delay", 30.0),
    ):
        flag = f"--horizontal-pod-autoscaler-{name}"
        parser.add_argument(flag, type=durations.parse, default=seconds, metavar="DURATION")
    parser.add_argument("--horizontal-pod-autoscaler-tolerance", type=float, default=0.1)


def autoscaling(flags: argparse.Namespace) -> verdict.Settings:
    """As told."""

    def told(name: str) -> Any:
        return getattr(flags, f"horizontal_pod_autoscaler_{name}")

    return verdict.Settings(
        sync_period=told("sync_period"),
        downscale_stabilization=told("downscale_stabilization"),
        tolerance=told("tolerance"),
        periods=Periods(told("cpu_initialization_period"), told("initial_readiness_delay")),
    )


def controllers(flags: argparse.Namespace) -> list[str]:
    """Which to run, in the words of ``--controllers``."""
    words: list[str] = flags.controllers.split(",")
    return words if flags.enable_garbage_collector else ["-garbagecollector", *words]


def add_nodes(parser: argparse.ArgumentParser) -> None:
    """For how long nodes may be silent, and how fast they lose their pods then."""
    add = parser.add_argument
    add("--node-monitor-grace-period", type=seconds, default=50.0, metavar="DURATION")
    add("--node-startup-grace-period", type=seconds, default=60.0, metavar="DURATION")
    add("--node-eviction-rate", type=float, default=0.1, metavar="NODES", help="a second")
    add("--secondary-node-eviction-rate", type=float, default=0.01, metavar="NODES")
    add("--unhealthy-zone-threshold", type=float, default=0.55, metavar="PART")
    add("--large-cluster-size-threshold", type=int, default=50, metavar="NODES")
    add("--terminated-pod-gc-threshold", type=int, default=12_500, metavar="PODS")


def add_addresses(parser: argparse.ArgumentParser) -> None:
    """Addresses of pods, and how many of them are told of in one object."""
    add = parser.add_argument
    commandline.add_switch(
        parser, "allocate-node-cidrs", "whether nodes get parts of --cluster-cidr", default=True
    )
    add("--cluster-cidr", default="", metavar="CIDR[,CIDR]", help="a part of it for each node")
    add("--service-cluster-ip-range", default="", metavar="CIDR[,CIDR]", help="no part of these")
    for suffix in ("", "-ipv4", "-ipv6"):
        add(f"--node-cidr-mask-size{suffix}", type=int, default=0, metavar="BITS")
    add("--max-endpoints-per-slice", type=_thousand, default=100, metavar="N")
    add("--mirroring-max-endpoints-per-subset", type=_thousand, default=1000, metavar="N")


def ranges(flags: argparse.Namespace) -> tuple[Range, ...] | None:
    """Of the pods, at most one of each family; ValueError where nodes can have no parts of it."""
    networks = [ip_network(item) for item in listed(flags.cluster_cidr)]
    masks = {4: flags.node_cidr_mask_size_ipv4, 6: flags.node_cidr_mask_size_ipv6}
    if len({network.version for network in networks}) < len(networks):
        raise ValueError("--cluster-cidr has two networks of one family")
    if len(networks) > 1 and flags.node_cidr_mask_size:
        raise ValueError("--node-cidr-mask-size can not be used with networks of two families")
    found = [
        Range(item, masks[item.version] or flags.node_cidr_mask_size or MASKS[item.version])
        for item in networks
    ]
    return tuple(found) or None


def listed(text: str | None) -> list[str]:
    """What stands between commas."""
    return [item.strip() for item in (text or "").split(",") if item.strip()]


def patience(flags: argparse.Namespace) -> Patience:
    """As told."""
    rates = Rates(
        flags.node_eviction_rate,
        flags.secondary_node_eviction_rate,
        flags.unhealthy_zone_threshold,
        flags.large_cluster_size_threshold,
    )
    return Patience(flags.node_monitor_grace_period, flags.node_startup_grace_period, rates)


def seconds(text: str) -> float:
    """A duration as Go writes it, or plain seconds; ValueError."""
    try:
        return float(text)
    except ValueError:
        return durations.parse(text)


def _period(text: str) -> float:
    found = durations.parse(text)
    if found <= 0:
        raise ValueError(text)
    return found


def _thousand(text: str) -> int:
    number = _positive(text)
    if number > ENDPOINTS_MAX:
        raise ValueError(text)
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
