"""The flags by which a component stands for election, as Kubernetes' components name them."""

import argparse
from pathlib import Path

from pilothouse.services.machinery import durations
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.client.election import Contest
from pilothouse.services.runtime.commandline import add_switch
from pilothouse.services.runtime.control.leadership import Timing

_TIMES = (("lease-duration", 15.0), ("renew-deadline", 10.0), ("retry-period", 2.0))


def add_election(parser: argparse.ArgumentParser, component: str) -> None:
    """``--leader-elect`` and its kin; the Lease is ``kube-system/<component>`` by default."""
    add = parser.add_argument
    add_switch(parser, "leader-elect", "whether others may stand by", default=True)
    for name, default in _TIMES:
        flag = f"--leader-elect-{name}"
        add(flag, type=durations.parse, default=default, metavar="DURATION")
    add("--leader-elect-resource-name", default=component, metavar="NAME")
    add("--leader-elect-resource-namespace", default="kube-system", metavar="NAMESPACE")
    add("--leader-elect-resource-lock", choices=["leases"], default="leases")
    add("--leader-elect-mark", type=Path, help="file that names the last process; by the socket")


def contest(flags: argparse.Namespace, component: str, own: Path) -> Contest | None:
    """None where nobody is to be elected; ValueError on times that do not go together.

    ``own`` is the socket beside which the mark is, where none is named.
    """
    if not flags.leader_elect:
        return None
    timing = Timing(
        flags.leader_elect_lease_duration,
        flags.leader_elect_renew_deadline,
        flags.leader_elect_retry_period,
    )
    lease = Key(flags.leader_elect_resource_namespace, flags.leader_elect_resource_name)
    mark = flags.leader_elect_mark or own.with_suffix(".leader")
    return Contest(component, lease, timing, mark)


def shown(flags: argparse.Namespace) -> dict[str, object]:
    """As components show their configuration."""
    return {
        "LeaderElect": flags.leader_elect,
        "LeaseDuration": f"{flags.leader_elect_lease_duration:g}s",
        "RenewDeadline": f"{flags.leader_elect_renew_deadline:g}s",
        "RetryPeriod": f"{flags.leader_elect_retry_period:g}s",
        "ResourceLock": flags.leader_elect_resource_lock,
        "ResourceName": flags.leader_elect_resource_name,
        "ResourceNamespace": flags.leader_elect_resource_namespace,
    }
