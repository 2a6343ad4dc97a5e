"""What ``server`` and ``join`` do to a real machine: settings under /etc, units for systemd."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CONFIG = Path("/etc/pilothouse")
STATE = Path("/var/lib/pilothouse")
RUN = Path("/run/pilothouse")
PKI = CONFIG / "pki"
UNITS = Path(__file__).resolve().parents[1] / "systemd"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def require_root(verb: str) -> None:
    """Exit with a sentence when this is not root."""
    if os.geteuid() != 0:
        sys.exit(f"{verb}: must run as root: it writes to /etc and installs services")


def install(service: str, flags: Sequence[str]) -> None:
    """Write the service's settings and its unit; what was there is replaced."""
    programs = Path(sys.executable).parent
    settings = f"PATH={programs}:{SYSTEM_PATH}\nPILOTHOUSE_FLAGS={' '.join(flags)}\n"
    Path("/etc/default").mkdir(exist_ok=True)
    Path(f"/etc/default/pilothouse-{service}").write_text(settings)
    name = f"pilothouse-{service}.service"
    shutil.copyfile(UNITS / name, Path("/etc/systemd/system") / name)


def start(services: Sequence[str]) -> bool:
    """Start the services now and at every boot; False where no systemd runs.

    CalledProcessError when systemd refuses.
    """
    if not Path("/run/systemd/system").is_dir():
        return False
    names = [f"pilothouse-{service}" for service in services]
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    subprocess.run(["systemctl", "enable", "--quiet", *names], check=True)
    subprocess.run(["systemctl", "restart", *names], check=True)
    return True


def tell(started: bool, services: Sequence[str]) -> None:
    """Say what runs now, or how to run it where there is no systemd."""
    if started:
        sys.stdout.write(f"running: {', '.join(services)}\n")
        return
    sys.stdout.write("no systemd runs here; start each service yourself:\n")
    for service in services:
        settings = f"/etc/default/pilothouse-{service}"
        sys.stdout.write(f"  (. {settings}; pilothouse {service} $PILOTHOUSE_FLAGS)\n")
