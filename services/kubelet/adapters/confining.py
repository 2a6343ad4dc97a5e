"""What this host and its configuration allow pods."""

from pathlib import Path

from pilothouse.services.kubelet.adapters.cri.runtime import CriStreams
from pilothouse.services.kubelet.adapters.volumes.id_ranges import NodeIdRanges
from pilothouse.services.kubelet.config import Config
from pilothouse.services.kubelet.security.confinement import Confinement
from pilothouse.services.kubelet.security.rules import Rules

APP_ARMOR = Path("/sys/module/apparmor/parameters/enabled")


def build(config: Config, streams: CriStreams) -> Confinement:
    """``streams`` knows what the runtime said of itself last."""
    kubelet, root = config.kubelet, config.paths.root
    rules = Rules(
        unsafe_sysctls=kubelet.allowed_unsafe_sysctls,
        sysctls=kubelet.default_pod_sysctls,
        seccomp_default=kubelet.seccomp_default,
        seccomp_root=str(root / "seccomp"),
        has_app_armor=_has_app_armor(),
    )
    ids = NodeIdRanges(root, config.pods_max, kubelet.user_namespaces.ids_per_pod)
    return Confinement(rules, lambda: streams.last, ids)


def _has_app_armor() -> bool:
    try:
        return APP_ARMOR.read_text().strip() == "Y"
    except OSError:
        return False
