"""Which Kubernetes this is."""

import platform
from typing import Any

MAJOR, MINOR = "1", "37"
GIT_VERSION = "v1.37.0-pilothouse.0.1.0"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def version_document() -> dict[str, Any]:
    """``/version``; the language's version stands where Kubernetes names Go's."""
    machine = platform.machine()
    return {
        "major": MAJOR,
        "minor": MINOR,
        "emulationMajor": MAJOR,
        "emulationMinor": MINOR,
        "minCompatibilityMajor": MAJOR,
        "minCompatibilityMinor": MINOR,
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": platform.python_implementation(),
        "platform": f"{platform.system().lower()}/{_MACHINES.get(machine, machine)}",
    }
