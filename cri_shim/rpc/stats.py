"""CRI's calls for what containers and pods use."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from pilothouse.cri_shim.ports import Records
from pilothouse.cri_shim.records import ContainerRecord, SandboxRecord
from pilothouse.cri_shim.stats import metrics
from pilothouse.cri_shim.stats.cgroups import Memory, Pressure, Pressures
from pilothouse.cri_shim.stats.collector import Collector, Filter, Taken
from pilothouse.cri_shim.stats.metrics import Descriptor, Measured
from pilothouse.cri_shim.stats.network import Interface
from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.services.runtime.rpc.errors import Context

POD = "POD"
"""What cAdvisor calls the sandbox's own container."""


class StatsCalls:
    """A part of the RuntimeService. ``mountpoint`` is where writable layers lie."""

    def __init__(
        self, collector: Collector, records: Records, mountpoint: Callable[[], str]
    ) -> None:
        self._collector = collector
        self._records = records
        self._mountpoint = mountpoint

    async def ContainerStats(
        self, request: cri.ContainerStatsRequest, context: Context
    ) -> cri.ContainerStatsResponse:
        """Of one; NotFound."""
        record = self._records.container(request.container_id)
        return cri.ContainerStatsResponse(stats=await self._container(record))

    async def ListContainerStats(
        self, request: cri.ListContainerStatsRequest, context: Context
    ) -> cri.ListContainerStatsResponse:
        """Of all that run and the filter means."""
        found = self._collector.containers(_container_filter(request.filter))
        return cri.ListContainerStatsResponse(stats=[await self._container(one) for one in found])

    async def StreamContainerStats(
        self, request: cri.StreamContainerStatsRequest, context: Context
    ) -> AsyncIterator[cri.StreamContainerStatsResponse]:
        """The same one by one; read as fast as the client takes them."""
        for record in self._collector.containers(_container_filter(request.filter)):
            stats = await self._container(record)
            yield cri.StreamContainerStatsResponse(container_stats=[stats])

    async def PodSandboxStats(
        self, request: cri.PodSandboxStatsRequest, context: Context
    ) -> cri.PodSandboxStatsResponse:
        """Of one that is ready; NotFound."""
        record = self._collector.ready(request.pod_sandbox_id)
        return cri.PodSandboxStatsResponse(stats=await self._sandbox(record))

    async def ListPodSandboxStats(
        self, request: cri.ListPodSandboxStatsRequest, context: Context
    ) -> cri.ListPodSandboxStatsResponse:
        """Of all that are ready and the filter means."""
        found = self._collector.sandboxes(_sandbox_filter(request.filter))
        return cri.ListPodSandboxStatsResponse(stats=[await self._sandbox(one) for one in found])

    async def StreamPodSandboxStats(
        self, request: cri.StreamPodSandboxStatsRequest, context: Context
    ) -> AsyncIterator[cri.StreamPodSandboxStatsResponse]:
        """The same one by one; read as fast as the client takes them."""
        for record in self._collector.sandboxes(_sandbox_filter(request.filter)):
            stats = await self._sandbox(record)
            yield cri.StreamPodSandboxStatsResponse(pod_sandbox_stats=[stats])

    async def ListMetricDescriptors(
        self, request: cri.ListMetricDescriptorsRequest, context: Context
    ) -> cri.ListMetricDescriptorsResponse:
        """All that :meth:`ListPodSandboxMetrics` may speak of."""
        known = (*metrics.DESCRIPTORS, *metrics.NETWORK_DESCRIPTORS)
        return cri.ListMetricDescriptorsResponse(descriptors=[_descriptor(one) for one in known])

    async def ListPodSandboxMetrics(
        self, request: cri.ListPodSandboxMetricsRequest, context: Context
    ) -> cri.ListPodSandboxMetricsResponse:
        """Of all that are ready."""
        found = self._collector.sandboxes(Filter())
        return cri.ListPodSandboxMetricsResponse(
            pod_metrics=[await self._metrics(record) for record in found]
        )

    async def StreamPodSandboxMetrics(
        self, request: cri.StreamPodSandboxMetricsRequest, context: Context
    ) -> AsyncIterator[cri.StreamPodSandboxMetricsResponse]:
        """The same one by one; read as fast as the client takes them."""
        for record in self._collector.sandboxes(Filter()):
            found = await self._metrics(record)
            yield cri.StreamPodSandboxMetricsResponse(pod_sandbox_metrics=[found])

    async def _container(self, record: ContainerRecord) -> cri.ContainerStats:
        taken = await self._collector.container(record)
        config = record.config
        stats = cri.ContainerStats(
            attributes=cri.ContainerAttributes(
                id=record.id,
                metadata=cri.ContainerMetadata(
                    name=config.metadata.name, attempt=config.metadata.attempt
                ),
                labels=config.labels,
                annotations=config.annotations,
            ),
            cpu=_cpu(taken),
            memory=_memory(taken),
            swap=_swap(taken),
            io=_io(taken),
        )
        if taken.layer is not None:
            stats.writable_layer.CopyFrom(
                cri.FilesystemUsage(
                    timestamp=taken.layer.at,
                    fs_id=cri.FilesystemIdentifier(mountpoint=self._mountpoint()),
                    used_bytes=_value(taken.layer.bytes),
                    inodes_used=_value(taken.layer.inodes),
                )
            )
        return stats

    async def _sandbox(self, record: SandboxRecord) -> cri.PodSandboxStats:
        taken = self._collector.sandbox(record)
        inside = self._collector.containers(Filter(sandbox_id=record.id))
        config = record.config
        linux = cri.LinuxPodSandboxStats(
            cpu=_cpu(taken),
            memory=_memory(taken),
            network=_network(taken),
            process=cri.ProcessUsage(
                timestamp=taken.at, process_count=_value(taken.usage.processes)
            ),
            containers=[await self._container(one) for one in inside],
            io=_io(taken),
        )
        metadata = config.metadata
        return cri.PodSandboxStats(
            attributes=cri.PodSandboxAttributes(
                id=record.id,
                metadata=cri.PodSandboxMetadata(
                    name=metadata.name,
                    uid=metadata.uid,
                    namespace=metadata.namespace,
                    attempt=metadata.attempt,
                ),
                labels=config.labels,
                annotations=config.annotations,
            ),
            linux=linux,
        )

    async def _metrics(self, record: SandboxRecord) -> cri.PodSandboxMetrics:
        taken = self._collector.sandbox(record)
        own = metrics.measure(taken, (record.id, POD, ""))
        found = cri.PodSandboxMetrics(
            pod_sandbox_id=record.id, metrics=[_metric(taken.at, one) for one in own]
        )
        for one in self._collector.containers(Filter(sandbox_id=record.id)):
            used = await self._collector.container(one)
            labels = (one.id, one.config.metadata.name, one.image_ref)
            found.container_metrics.add(
                container_id=one.id,
                metrics=[_metric(used.at, each) for each in metrics.measure(used, labels)],
            )
        return found


def _container_filter(said: cri.ContainerStatsFilter) -> Filter:
    return Filter(said.id, said.pod_sandbox_id, tuple(said.label_selector.items()))


def _sandbox_filter(said: cri.PodSandboxStatsFilter) -> Filter:
    return Filter(said.id, labels=tuple(said.label_selector.items()))


def _value(number: int | None) -> cri.UInt64Value | None:
    return None if number is None else cri.UInt64Value(value=number)


def _cpu(taken: Taken) -> cri.CpuUsage | None:
    if taken.usage.cpu_nanoseconds is None:
        return None
    return cri.CpuUsage(
        timestamp=taken.at,
        usage_core_nano_seconds=_value(taken.usage.cpu_nanoseconds),
        usage_nano_cores=_value(taken.nano_cores),
        psi=_psi(taken.usage.cpu_pressure),
    )


def _memory(taken: Taken) -> cri.MemoryUsage | None:
    found: Memory | None = taken.usage.memory
    if found is None:
        return None
    return cri.MemoryUsage(
        timestamp=taken.at,
        working_set_bytes=_value(found.working_set),
        available_bytes=_value(found.available),
        usage_bytes=_value(found.usage),
        rss_bytes=_value(found.rss),
        page_faults=_value(found.page_faults),
        major_page_faults=_value(found.major_page_faults),
        psi=_psi(taken.usage.memory_pressure),
    )


def _swap(taken: Taken) -> cri.SwapUsage | None:
    found = taken.usage.memory
    if found is None:
        return None
    left = max(0, found.swap_limit - found.swap) if found.swap_limit else None
    return cri.SwapUsage(
        timestamp=taken.at,
        swap_available_bytes=_value(left),
        swap_usage_bytes=_value(found.swap),
    )


def _io(taken: Taken) -> cri.IoUsage | None:
    if taken.usage.io_pressure is None:
        return None
    return cri.IoUsage(timestamp=taken.at, psi=_psi(taken.usage.io_pressure))


def _psi(found: Pressures | None) -> cri.PsiStats | None:
    if found is None:
        return None
    return cri.PsiStats(Full=_psi_line(found.full), Some=_psi_line(found.some))


def _psi_line(line: Pressure) -> cri.PsiData:
    return cri.PsiData(Total=line.total, Avg10=line.avg10, Avg60=line.avg60, Avg300=line.avg300)


def _network(taken: Taken) -> cri.NetworkUsage | None:
    if not taken.interfaces:
        return None
    found = [_interface(one) for one in taken.interfaces]
    return cri.NetworkUsage(timestamp=taken.at, default_interface=found[0], interfaces=found[1:])


def _interface(one: Interface) -> cri.NetworkInterfaceUsage:
    return cri.NetworkInterfaceUsage(
        name=one.name,
        rx_bytes=_value(one.rx_bytes),
        rx_errors=_value(one.rx_errors),
        tx_bytes=_value(one.tx_bytes),
        tx_errors=_value(one.tx_errors),
    )


def _descriptor(one: Descriptor) -> cri.MetricDescriptor:
    return cri.MetricDescriptor(name=one.name, help=one.help, label_keys=one.labels)


def _metric(at: int, one: Measured) -> cri.Metric:
    kind: Any = one.kind  # the stubs take the enumeration for a type of its own
    return cri.Metric(
        name=one.name,
        timestamp=at,
        metric_type=kind,
        label_values=one.labels,
        value=_value(one.value),
    )
