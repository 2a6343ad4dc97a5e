"""The parts of the server, put together."""

import asyncio
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from grpc import aio

from pilothouse.cri_shim.adapters import dialing, introspection, machine, usage
from pilothouse.cri_shim.adapters.cni import CniNetwork
from pilothouse.cri_shim.adapters.containerd import NAMESPACE
from pilothouse.cri_shim.adapters.events import ContainerdEvents
from pilothouse.cri_shim.adapters.files import NodeFiles
from pilothouse.cri_shim.adapters.image_store import ImageStore
from pilothouse.cri_shim.adapters.objects import ContainerdObjects, ContainerdSnapshots
from pilothouse.cri_shim.adapters.places import NodeContainers, NodeSandboxes
from pilothouse.cri_shim.adapters.record_file import RecordFile
from pilothouse.cri_shim.adapters.tasks import ContainerdProcesses, ContainerdTasks
from pilothouse.cri_shim.config import Config, Runtime
from pilothouse.cri_shim.containers import containers as containing
from pilothouse.cri_shim.containers.containers import Containers
from pilothouse.cri_shim.containers.creation import Creation
from pilothouse.cri_shim.images import hosts
from pilothouse.cri_shim.images.hosts import Host
from pilothouse.cri_shim.images.images import ContainerImages
from pilothouse.cri_shim.images.manifests import host_platform
from pilothouse.cri_shim.images.pulling import Surroundings as ImageSurroundings
from pilothouse.cri_shim.logs.containers import ContainerLogs
from pilothouse.cri_shim.oci.facts import Machine
from pilothouse.cri_shim.recovery import Recovery
from pilothouse.cri_shim.sandboxes import sandboxes as sheltering
from pilothouse.cri_shim.sandboxes.sandboxes import Sandboxes
from pilothouse.cri_shim.stats.collector import Collector, Sources
from pilothouse.cri_shim.store.events import Events
from pilothouse.cri_shim.store.records import Store
from pilothouse.cri_shim.streaming.commands import Commands
from pilothouse.cri_shim.streaming.server import StreamingServer
from pilothouse.services.runtime.clock import Clock


@dataclass
class Parts:
    """What the edges serve, and what runs beside them."""

    machine: Machine
    handlers: dict[str, str]
    store: Store
    events: Events
    network: CniNetwork
    objects: ContainerdObjects
    processes: ContainerdProcesses
    images: ContainerImages
    image_root: str
    logs: ContainerLogs
    sandboxes: Sandboxes
    containers: Containers
    creation: Creation
    recovery: Recovery
    commands: Commands
    streaming: StreamingServer
    collector: Collector


async def build(
    config: Config, channel: aio.Channel, group: asyncio.TaskGroup, clock: Clock
) -> Parts:
    """Everything, ready to serve; ApiError while containerd does not answer."""
    paths, runtime = config.paths, config.runtime
    facts = machine.observe(runc=runtime.binary, systemd_cgroups=runtime.systemd_cgroups)
    objects = ContainerdObjects(channel)
    await objects.ensure_namespace(NAMESPACE)
    tasks = _tasks(channel, runtime)
    snapshots = ContainerdSnapshots(channel, runtime.snapshotter)
    store = Store(RecordFile(paths.root / "records.db"), str(paths.state / "io"))
    events, files = Events(), NodeFiles(paths.root, paths.state)
    logs = ContainerLogs(group, clock, paths.state / "io")
    image_store = ImageStore(channel, runtime.snapshotter, clock)
    images = ContainerImages(group, image_store, _registries(config))
    network = CniNetwork(paths.cni_conf, paths.cni_binaries, paths.cni_cache)
    handlers = dict(runtime.handlers)
    shelters = NodeSandboxes(files, snapshots, facts.hostname)
    around = containing.Surroundings(
        store, events, tasks, objects, snapshots, NodeContainers(files, snapshots, images), logs,
        facts, clock,
    )  # fmt: skip
    containers = Containers(around)
    sandboxes = Sandboxes(
        sheltering.Surroundings(
            store, events, tasks, objects, network, shelters, images, facts, clock,
            config.pause_image, handlers,
        ),
        containers,
    )  # fmt: skip
    processes = ContainerdProcesses(channel)
    commands = Commands(processes, store, paths.state / "exec", clock)
    commands.clean()
    return Parts(
        machine=facts,
        handlers=handlers,
        store=store,
        events=events,
        network=network,
        objects=objects,
        processes=processes,
        images=images,
        image_root=await introspection.snapshotter_root(channel, runtime.snapshotter),
        logs=logs,
        sandboxes=sandboxes,
        containers=containers,
        creation=Creation(around, images, shelters, handlers),
        recovery=Recovery(
            store, tasks, objects, snapshots, logs, sandboxes, containers,
            ContainerdEvents(channel), clock,
        ),
        commands=commands,
        streaming=StreamingServer(commands, logs, (store, processes, dialing.connect), clock),
        collector=Collector(
            store, Sources(usage.usage, usage.net_dev, image_store.snapshot_usage), clock
        ),
    )  # fmt: skip


def _tasks(channel: aio.Channel, runtime: Runtime) -> ContainerdTasks:
    options: dict[str, str | bool] = {
        "binary_name": runtime.binary,
        "root": runtime.root,
        "systemd_cgroup": runtime.systemd_cgroups,
    }
    return ContainerdTasks(channel, options)


def _registries(config: Config) -> ImageSurroundings:
    found = _hosts(config.paths.registries)
    return ImageSurroundings(host_platform(platform.machine()), config.runtime.snapshotter, found)


def _hosts(registries: Path | None) -> Callable[[str], list[Host]]:
    root = "" if registries is None else str(registries)
    return lambda domain: hosts.hosts_of(domain, root, _read)


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
