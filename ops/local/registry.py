"""A registry inside the cluster that serves the images built here, so that pulls are real.

It answers in the fabric's network namespace only; every node's containerd asks it first for what
is named after docker.io, and goes on to the internet, where there is one, for the rest.
"""

from pathlib import Path

from pilothouse.ops.local.cluster import CONTROL_PLANE_ADDRESS, Cluster

PORT = 5000
BINARY = "/usr/bin/docker-registry"


def prepare(cluster: Cluster, images: Path) -> None:
    """Write the registry's configuration and the mirror that the nodes' containerd reads."""
    (cluster.config / "registry.yaml").write_text(configuration(images / "registry"))
    hosts = cluster.config / "certs.d/docker.io/hosts.toml"
    hosts.parent.mkdir(parents=True, exist_ok=True)
    hosts.write_text(mirror())


def configuration(root: Path) -> str:
    """Read-only on ``root``, plain HTTP on the fabric, nothing logged but trouble."""
    return f"""version: 0.1
log:
  level: error
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: {root}
  maintenance:
    readonly:
      enabled: true
    uploadpurging:
      enabled: false
http:
  addr: {CONTROL_PLANE_ADDRESS}:{PORT}
"""


def mirror() -> str:
    """``hosts.toml`` of docker.io."""
    return f"""server = "https://registry-1.docker.io"

[host."http://{CONTROL_PLANE_ADDRESS}:{PORT}"]
  capabilities = ["pull", "resolve"]
"""
