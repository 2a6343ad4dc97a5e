"""The Summary API (``/stats/summary``, stats/v1alpha1) of what is used. Pure."""

from typing import Any

from pilothouse.services.kubelet.stats.values import (
    Cgroup,
    ContainerUsage,
    Filesystem,
    Interface,
    Network,
    NodeUsage,
    Part,
    PodUsage,
    Pressure,
    Stall,
    Usage,
    VolumeUsage,
)
from pilothouse.services.machinery import timestamps


def render(usage: Usage, *, only_processing: bool = False) -> dict[str, Any]:
    """The whole; ``only_processing`` leaves out all but CPU and memory."""
    return {
        "node": _node(usage.node, only_processing=only_processing),
        "pods": [_pod(pod, only_processing=only_processing) for pod in usage.pods],
    }


def _node(node: NodeUsage, *, only_processing: bool) -> dict[str, Any]:
    part = node.part
    told: dict[str, Any] = {"nodeName": part.name}
    systems = [_part(each, swap_bytes=node.swap_bytes) for each in node.systems]
    if systems:
        told["systemContainers"] = systems
    told["startTime"] = timestamps.render(part.started_at)
    told |= _processing(part.cgroup, part.nanocores)
    if "memory" in told:
        told["memory"]["availableBytes"] = node.memory_available_bytes
    if only_processing or part.cgroup is None:
        return told
    told |= _stalls(part.cgroup)
    told |= _network(node.network)
    if node.filesystem is not None:
        told["fs"] = _filesystem(node.filesystem)
    places = {"imageFs": node.images, "containerFs": node.layers or node.images}
    told["runtime"] = {
        name: _filesystem(place) for name, place in places.items() if place is not None
    }
    told["rlimit"] = {
        "time": timestamps.render(part.cgroup.at),
        "maxpid": node.processes_max,
        "curproc": node.processes,
    }
    return told | _swap(part.cgroup, node.swap_bytes)


def _pod(pod: PodUsage, *, only_processing: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
        "startTime": timestamps.render(pod.part.started_at),
        "containers": [_container(item, whole=not only_processing) for item in pod.containers],
    }
    cgroup = pod.part.cgroup
    told |= _processing(cgroup, pod.part.nanocores)
    if only_processing:
        return told
    if cgroup is not None:
        told |= _stalls(cgroup)
    told |= _network(pod.network)
    if pod.volumes:
        told["volume"] = [_volume(volume) for volume in pod.volumes]
    if pod.ephemeral is not None:
        told["ephemeral-storage"] = _filesystem(pod.ephemeral)
    if cgroup is not None:
        told["process_stats"] = {"process_count": cgroup.processes}
        told |= _swap(cgroup, None)
    return told


def _container(container: ContainerUsage, *, whole: bool) -> dict[str, Any]:
    told = _part(container.part, stalls=whole)
    if not whole:
        return {key: value for key, value in told.items() if key != "swap"}
    if container.rootfs is not None:
        told["rootfs"] = _filesystem(container.rootfs)
    if container.logs is not None:
        told["logs"] = _filesystem(container.logs)
    return told


def _part(part: Part, *, stalls: bool = True, swap_bytes: int | None = None) -> dict[str, Any]:
    told = {"name": part.name, "startTime": timestamps.render(part.started_at)}
    told |= _processing(part.cgroup, part.nanocores)
    if part.cgroup is not None:
        told |= _stalls(part.cgroup) if stalls else {}
        told |= _swap(part.cgroup, swap_bytes)
    return told


def _processing(cgroup: Cgroup | None, nanocores: int | None) -> dict[str, Any]:
    if cgroup is None:
        return {}
    at, memory = timestamps.render(cgroup.at), cgroup.memory
    cpu: dict[str, Any] = {"time": at}
    if nanocores is not None:
        cpu["usageNanoCores"] = nanocores
    cpu["usageCoreNanoSeconds"] = cgroup.cpu_nanoseconds
    used: dict[str, Any] = {"time": at}
    if memory.available_bytes is not None:
        used["availableBytes"] = memory.available_bytes
    used |= {
        "usageBytes": memory.usage_bytes,
        "workingSetBytes": memory.working_set_bytes,
        "rssBytes": memory.rss_bytes,
        "pageFaults": memory.page_faults,
        "majorPageFaults": memory.major_page_faults,
    }
    for name, told in (("cpu", cpu), ("memory", used)):
        if name in cgroup.pressures:
            told["psi"] = _pressure(cgroup.pressures[name])
    return {"cpu": cpu, "memory": used}


def _stalls(cgroup: Cgroup) -> dict[str, Any]:
    if "io" not in cgroup.pressures:
        return {}
    return {"io": {"time": timestamps.render(cgroup.at), "psi": _pressure(cgroup.pressures["io"])}}


def _pressure(pressure: Pressure) -> dict[str, Any]:
    return {"full": _stall(pressure.full), "some": _stall(pressure.some)}


def _stall(stall: Stall) -> dict[str, float]:
    return {
        "total": stall.total,
        "avg10": stall.avg10,
        "avg60": stall.avg60,
        "avg300": stall.avg300,
    }


def _swap(cgroup: Cgroup, swap_bytes: int | None) -> dict[str, Any]:
    used = cgroup.memory.swap_bytes
    if used is None:
        return {}
    told: dict[str, Any] = {"time": timestamps.render(cgroup.at)}
    limit = cgroup.memory.swap_limit_bytes if swap_bytes is None else swap_bytes
    if limit is not None:
        told["swapAvailableBytes"] = max(limit - used, 0)
    return {"swap": told | {"swapUsageBytes": used}}


def _network(network: Network | None) -> dict[str, Any]:
    if network is None:
        return {}
    told: dict[str, Any] = {"time": timestamps.render(network.at)}
    chosen = next((item for item in network.interfaces if item.name == network.default), None)
    told |= {"name": ""} if chosen is None else _interface(chosen)
    told["interfaces"] = [_interface(item) for item in network.interfaces]
    return {"network": told}


def _interface(item: Interface) -> dict[str, Any]:
    return {
        "name": item.name,
        "rxBytes": item.rx_bytes,
        "rxErrors": item.rx_errors,
        "txBytes": item.tx_bytes,
        "txErrors": item.tx_errors,
    }


def _volume(volume: VolumeUsage) -> dict[str, Any]:
    return _filesystem(volume.filesystem) | {"name": volume.name}


def _filesystem(place: Filesystem) -> dict[str, Any]:
    amounts = {
        "availableBytes": place.available_bytes,
        "capacityBytes": place.capacity_bytes,
        "usedBytes": place.used_bytes,
        "inodesFree": place.inodes_free,
        "inodes": place.inodes,
        "inodesUsed": place.inodes_used,
    }
    told = {name: amount for name, amount in amounts.items() if amount is not None}
    return {"time": timestamps.render(place.at), **told}
