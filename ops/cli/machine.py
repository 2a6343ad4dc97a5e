"""What ``server`` and ``join`` do to a real machine: settings under /etc, units for systemd."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

CONFIG = Path("/etc/pilothouse")
STATE = Path("/var/lib/pilothouse")
RUN = Path("/run/pilothouse")
PKI = CONFIG / "pki"
UNITS = Path(__file__).resolve().parents[1] / "systemd"
DEFAULTS = Path("/etc/default")
SYSTEM_UNITS = Path("/etc/systemd/system")
PROGRAMS = Path(sys.executable).parent
# What ProtectHome= and PrivateTmp= hide of the machine.
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - named, not written to
# Inside double quotes a shell or systemd would take these for something else.
UNQUOTED = frozenset("\"'\\`$\n")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def require_root(verb: str) -> None:
    """Exit with a sentence when this is not root."""
    if os.geteuid() != 0:
        sys.exit(f"{verb}: must run as root: it writes to /etc and installs services")


def install(service: str, flags: Sequence[str]) -> None:
    """Write the service's settings and its unit; what was there is replaced.

    ValueError for flags that settings can not hold.
    """
    # As the units make them, for where there is no systemd: the state holds every Secret.
    for directory, mode in ((STATE, 0o700), (RUN, 0o711)):
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(mode)
    DEFAULTS.mkdir(parents=True, exist_ok=True)
    (DEFAULTS / f"pilothouse-{service}").write_text(settings(flags))
    name = f"pilothouse-{service}.service"
    SYSTEM_UNITS.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(UNITS / name, SYSTEM_UNITS / name)
    exception = home_exception(_places()) if "ProtectHome=" in (UNITS / name).read_text() else ""
    drop_in = SYSTEM_UNITS / f"{name}.d" / "home.conf"
    if exception:
        drop_in.parent.mkdir(exist_ok=True)
        drop_in.write_text(exception)
    else:
        drop_in.unlink(missing_ok=True)


def settings(flags: Sequence[str], programs: Path = PROGRAMS) -> str:
    """An environment file that systemd and a shell read alike.

    ValueError for a flag that would not come back as it was: both split at blanks.
    """
    line = " ".join(flags)
    if line.split() != list(flags) or not UNQUOTED.isdisjoint(f"{line}{programs}"):
        raise ValueError(f"{programs}: a flag or a path with blanks or quotes in it: {line}")
    return f'PATH="{programs}:{SYSTEM_PATH}"\nPILOTHOUSE_FLAGS="{line}"\n'


def home_exception(places: Iterable[Path]) -> str:
    """A drop-in that shows a service what it is made of, where that lies in a home or in /tmp.

    Nothing else of these is to be seen; empty when no place needs it.
    """
    inside = sorted({str(p) for p in places if any(p.is_relative_to(hidden) for hidden in HIDDEN)})
    if not inside:
        return ""
    return f"[Service]\nProtectHome=tmpfs\nBindReadOnlyPaths={' '.join(inside)}\n"


def _places() -> Iterable[Path]:
    """The interpreter, its packages, and this package, each also where links lead."""
    for place in (Path(sys.prefix), Path(sys.base_prefix), UNITS.parents[1]):
        yield place
        yield place.resolve()


def start(services: Sequence[str]) -> bool:
    """Start the services now and at every boot; False where no systemd runs.

    Exits with a sentence when one does not come up.
    """
    if not Path("/run/systemd/system").is_dir():
        return False
    names = [f"pilothouse-{service}" for service in services]
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    subprocess.run(["systemctl", "enable", "--quiet", *names], check=True)
    if subprocess.run(["systemctl", "restart", *names], check=False).returncode:
        sys.exit("not every service has started; `journalctl -u 'pilothouse-*'` says why")
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
