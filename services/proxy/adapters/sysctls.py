"""Switches of this network namespace that Service traffic needs."""

from collections.abc import Mapping
from pathlib import Path

from pilothouse.services.runtime import telemetry

TREE = Path("/proc/sys/net")

WANTED: Mapping[str, str] = {
    # The node forwards between its pods and the rest.
    "ipv4/ip_forward": "1",
    # Answers between two pods of one bridge pass the translation on their way back.
    "bridge/bridge-nf-call-iptables": "1",
    # A late segment of a translated connection must not be taken for foreign and answered by RST.
    "netfilter/nf_conntrack_tcp_be_liberal": "1",
}


def set_wanted(tree: Path = TREE) -> None:
    """Write what differs; a switch that can not be set is told in the log and left."""
    for name, value in WANTED.items():
        switch = tree / name
        try:
            if switch.read_text().strip() != value:
                switch.write_text(value)
        except OSError as error:
            telemetry.logger().warning("switch not set", switch=name, error=str(error))
