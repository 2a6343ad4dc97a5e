"""From nothing, or from whatever a crash or a power loss left, to a cluster that is ready."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from pilothouse.ops.images.__main__ import build
from pilothouse.ops.local import cluster as clusters
from pilothouse.ops.local import clusters_lock, containerd, fabric, processes, registry
from pilothouse.ops.local.api import Api
from pilothouse.ops.local.cluster import Cluster
from pilothouse.ops.local.ledger import Change, Ledger
from pilothouse.ops.local.progress import Progress
from pilothouse.ops.pki import kubeconfig, plan
from pilothouse.ops.pki.authority import Authority
from pilothouse.services.runtime.clock import Clock

READY_SECONDS_MAX = 90.0
POLL_SECONDS = 0.05
SUPERVISOR_CHECK_EVERY = 20
CHECKOUT = Path(__file__).resolve().parents[2]
IMAGES = CHECKOUT / ".cache" / "images"

# Directories that containerd and the CNI library make for us at paths of their own choice.
SHARED_PARENTS = ("/run/containerd", "/run/containerd/s", "/var/lib/cni", "/var/lib/cni/results")

# What a supervised process sees of the environment: no proxy, no credential of who ran ops/up.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "MALLOC_ARENA_MAX": "2",
    "GRPC_ENABLE_FORK_SUPPORT": "0",
    "OPENBLAS_NUM_THREADS": "1",
}


async def bring_up(cluster: Cluster, progress: Progress, clock: Clock) -> None:
    """Make the cluster run and wait until it is ready.

    RuntimeError names what did not become ready and where its log is.
    """
    archive = await asyncio.to_thread(build, IMAGES)
    progress.say("images are built")
    ledger = Ledger(cluster.state / "ledger.jsonl")
    _make_directories(cluster, ledger)
    with clusters_lock.alone(cluster):
        running = clusters.load(cluster.name) if _supervisor(cluster) else None
        if running != cluster:
            _lay(cluster, ledger, progress, clock)
            start_supervisor(cluster)
            progress.say("supervisor is started")
        digest = (IMAGES / "images.stamp").read_text()
        await _until_ready(cluster, archive, digest, progress, clock)


def _make_directories(cluster: Cluster, ledger: Ledger) -> None:
    # The state holds every Secret of the cluster.
    for directory, mode in ((cluster.state, 0o700), (cluster.config, 0o755), (cluster.run, 0o711)):
        ledger.write(Change("directory", str(directory)))
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(mode)
    for parent in SHARED_PARENTS:
        if not Path(parent).exists():
            ledger.write(Change("parent", parent))
    ledger.write(Change("sandboxes", str(cluster.state / "nodes")))
    cluster.logs.mkdir(exist_ok=True, mode=0o700)


def _supervisor(cluster: Cluster) -> bool:
    return bool(processes.named(cluster.run / "pids", "supervisor"))


def _lay(cluster: Cluster, ledger: Ledger, progress: Progress, clock: Clock) -> None:
    """Everything but the processes; those that run without a supervisor are ended first."""
    end_services(cluster)
    ledger.write(Change("processes", str(cluster.run)))
    ledger.write(Change("cgroup", cluster.slug))
    cluster.save()
    _sign(cluster, clock)
    progress.say(f"certificates are in {cluster.pki}")
    fabric.lay(cluster, ledger)
    registry.prepare(cluster, IMAGES)
    for node in cluster.members:
        node.containerd_socket.unlink(missing_ok=True)
        node.cri_socket.unlink(missing_ok=True)
        containerd.prepare(node)
    progress.say(f"network of {cluster.nodes} node(s) is laid")


def end_services(cluster: Cluster) -> None:
    """End the supervisor and what it started, containerd too; pods go on under their shims."""
    pids = cluster.run / "pids"
    processes.end(processes.named(pids, "guardian", "supervisor"), grace_seconds=30.0)
    processes.end(processes.remembered(pids), grace_seconds=3.0)


def _sign(cluster: Cluster, clock: Clock) -> None:
    authority = Authority.open(cluster.pki, clock)
    wanted = plan.control_plane([clusters.CONTROL_PLANE_ADDRESS])
    for node in cluster.members:
        wanted += plan.node(node.name, node.address)
    renewed = {certificate.stem for certificate in wanted if authority.ensure(certificate)}
    authority.ensure_service_account_key()
    if renewed or not cluster.kubeconfig.exists():
        name = "pilothouse" if cluster.name == clusters.DEFAULT_NAME else cluster.slug
        kubeconfig.write(cluster.kubeconfig, cluster=name, server=cluster.server, pki=cluster.pki)


def environment(cluster: Cluster) -> dict[str, str]:
    """containerd looks for its shims in PATH before it looks beside itself."""
    binaries = Path(cluster.containerd).parent
    return ENVIRONMENT | {"PATH": f"{binaries}:{ENVIRONMENT['PATH']}"}


def start_supervisor(cluster: Cluster) -> None:
    """Start it detached: it lives on when whoever ran ``ops/up`` goes."""
    log = os.open(cluster.logs / "supervisor.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        subprocess.Popen(
            [sys.executable, "-m", "pilothouse.ops.supervisor", cluster.name],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment(cluster),
            start_new_session=True,
        )
    finally:
        os.close(log)


@dataclass(slots=True)
class _Wait:
    """What is still awaited, in words that a user can act on."""

    cluster: Cluster
    progress: Progress
    clock: Clock
    left: set[str] = field(default_factory=set)

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]]) -> None:
        """Ask until it holds; RuntimeError as soon as nobody is there to make it so."""
        self.left.add(what)
        asked = 0
        while not await holds():
            asked += 1
            if asked % SUPERVISOR_CHECK_EVERY == 0 and not _supervisor(self.cluster):
                log = self.cluster.logs / "supervisor.log"
                tail = "\n".join(log.read_text().splitlines()[-5:])
                raise RuntimeError(f"the supervisor ended, {log} says:\n{tail}")
            await self.clock.sleep(POLL_SECONDS)
        self.left.discard(what)


async def _until_ready(
    cluster: Cluster, archive: Path, digest: str, progress: Progress, clock: Clock
) -> None:
    wait = _Wait(cluster, progress, clock)
    try:
        async with asyncio.timeout(READY_SECONDS_MAX), asyncio.TaskGroup() as group:
            for node in cluster.members:
                group.create_task(_load_images(node, wait, archive, digest))
            group.create_task(_wait_ready(wait))
    except TimeoutError:
        missing = ", ".join(sorted(wait.left))
        raise RuntimeError(
            f"not ready after {READY_SECONDS_MAX:.0f} s: {missing}; logs are in {cluster.logs}"
        ) from None
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _load_images(node: clusters.Node, wait: _Wait, archive: Path, digest: str) -> None:
    async def listens() -> bool:
        return node.containerd_socket.is_socket()

    await wait.until(f"containerd of {node.name}", listens)
    if await containerd.import_images(node, archive, digest=digest):
        wait.progress.say(f"images are loaded on {node.name}")


async def _wait_ready(wait: _Wait) -> None:
    api = Api(wait.cluster)
    wanted = {node.name for node in wait.cluster.members}

    async def nodes_are_ready() -> bool:
        return wanted <= await api.ready_nodes()

    await wait.until("the API", api.is_ready)
    wait.progress.say(f"API answers on {wait.cluster.server}")
    await wait.until(f"nodes {', '.join(sorted(wanted))}", nodes_are_ready)
    wait.progress.say(f"{', '.join(sorted(wanted))}: Ready")
