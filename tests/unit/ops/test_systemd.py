"""Every service has a unit that systemd accepts."""

import subprocess
from pathlib import Path

import pytest

from pilothouse.ops.cli.dispatch import SERVICES

UNITS = Path(__file__).resolve().parents[3] / "ops" / "systemd"
CONTROL_PLANE = ("apiserver", "controllers", "scheduler", "store")


def test_every_service_of_a_real_machine_has_a_unit() -> None:
    have = {path.stem.removeprefix("pilothouse-") for path in UNITS.glob("*.service")}
    # A local cluster alone publishes node ports to the host, and has no systemd to restart it.
    assert have == set(SERVICES) - {"guardian", "publish", "routes"}


@pytest.mark.parametrize("unit", sorted(path.name for path in UNITS.glob("*.service")))
def test_systemd_accepts_the_unit(unit: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", UNITS / unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert unit not in done.stderr
    text = (UNITS / unit).read_text()
    for setting in ("Type=notify", "WatchdogSec=", "Restart=always"):
        assert setting in text


@pytest.mark.parametrize("service", CONTROL_PLANE)
def test_the_control_plane_is_locked_in(service: str) -> None:
    text = (UNITS / f"pilothouse-{service}.service").read_text()
    for setting in ("NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=\n"):
        assert setting in text


def test_pods_outlive_their_kubelet() -> None:
    text = (UNITS / "pilothouse-kubelet.service").read_text()
    assert "Delegate=yes" in text
    assert "KillMode=process" in text
