"""``pilothouse up``: a cluster on this machine."""

import argparse
import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from pilothouse.ops.local import cluster as clusters
from pilothouse.ops.local import containerd
from pilothouse.ops.local.bring_up import CHECKOUT, bring_up
from pilothouse.ops.local.progress import Progress
from pilothouse.services.runtime.clock import SystemClock


def main(argv: list[str]) -> int:
    """Bring up the cluster; what is not asked for stays as it was the last time."""
    parser = argparse.ArgumentParser(prog="up", description=__doc__)
    parser.add_argument("--name", default=clusters.DEFAULT_NAME, help="of the cluster")
    parser.add_argument("--nodes", type=int, help="how many (1)")
    parser.add_argument("--port", type=int, help="of the API on 127.0.0.1 (6443)")
    parser.add_argument("--publish-address", help="loopback address of NodePorts (127.0.0.1)")
    parser.add_argument(
        "--container-runtime",
        choices=clusters.CONTAINER_RUNTIMES,
        help="who serves CRI: containerd itself, or cri-shim on it (containerd)",
    )
    flags = parser.parse_args(argv)
    if os.geteuid() != 0:
        sys.stderr.write("up: must run as root: it makes network namespaces and mounts\n")
        return 1
    asked = {
        "nodes": flags.nodes,
        "port": flags.port,
        "publish_address": flags.publish_address,
        "container_runtime": flags.container_runtime,
    }
    clock = SystemClock()
    progress = Progress(clock)
    try:
        cluster = _wanted(flags.name, {key: value for key, value in asked.items() if value})
        asyncio.run(bring_up(cluster, progress, clock))
    except (ValueError, RuntimeError, OSError) as error:
        sys.stderr.write(f"up: {error}\n")
        return 1
    progress.plain(f"\nkubeconfig: {cluster.kubeconfig}\nNext:")
    progress.plain(f"  export KUBECONFIG={cluster.kubeconfig} PATH={CHECKOUT}/.venv/bin:$PATH")
    progress.plain(f"  kubectl create -f {CHECKOUT}/examples/nginx-deployment.yaml")
    return 0


def _wanted(name: str, asked: dict[str, Any]) -> clusters.Cluster:
    before = clusters.load(name) or clusters.Cluster(name, containerd=containerd.find())
    if not Path(before.containerd).exists():
        asked = asked | {"containerd": containerd.find()}
    cluster = replace(before, **asked)
    if clusters.load(name) is not None and cluster.nodes < before.nodes:
        raise ValueError(f"it has {before.nodes} nodes: run down first to have fewer")
    if clusters.load(name) is not None and cluster.container_runtime != before.container_runtime:
        raise ValueError(f"its pods belong to {before.container_runtime}: run down first")
    return cluster
