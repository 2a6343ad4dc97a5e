"""What scrapers read."""

import msgspec

from pilothouse.services.kubelet.metrics import cadvisor, node, resource
from pilothouse.services.kubelet.metrics.cadvisor import Platform
from pilothouse.services.kubelet.metrics.meters import Meters
from pilothouse.services.kubelet.pod.observed import Container, Observed, Sandbox
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.stats.values import (
    Cgroup,
    ContainerUsage,
    Filesystem,
    Interface,
    Memory,
    Network,
    NodeUsage,
    Part,
    PodUsage,
    Pressure,
    Stall,
    Throttling,
    Usage,
)
from pilothouse.services.runtime.exposition import render
from pilothouse.services.runtime.meters import families

AT = 12.5
CGROUP = Cgroup(
    AT,
    2_500_000_000,
    memory=Memory(usage_bytes=500, inactive_file_bytes=100, swap_bytes=3),
    throttling=Throttling(periods=9, throttled=4, quota_microseconds=50_000),
    pressures={"cpu": Pressure(Stall(2_000_000), Stall(1_000_000))},
)
USAGE = Usage(
    NodeUsage(Part("node-1", 1.0, CGROUP), 2000),
    (
        PodUsage(
            "default",
            "web",
            "u-1",
            Part("", 2.0, CGROUP),
            (ContainerUsage(Part("main", 3.0, CGROUP), "c1", "busybox", Filesystem(AT, 9, 8, 7)),),
            sandbox_id="s1",
            path="/kubepods/podu-1",
            network=Network(AT, (Interface("eth0", 10, tx_dropped=2),), "eth0"),
        ),
    ),
)


def test_resource_metrics_carry_their_time():
    text = render(resource.families(USAGE)).decode().splitlines()
    pod = '{namespace="default",pod="web"}'
    container = '{container="main",namespace="default",pod="web"}'
    for line in (
        "node_cpu_usage_seconds_total 2.5 12500",
        "node_memory_working_set_bytes 400 12500",
        "node_swap_usage_bytes 3 12500",
        f"pod_cpu_usage_seconds_total{pod} 2.5 12500",
        f"pod_memory_working_set_bytes{pod} 400 12500",
        f"container_cpu_usage_seconds_total{container} 2.5 12500",
        f"container_memory_working_set_bytes{container} 400 12500",
        f"container_start_time_seconds{container} 3",
        "scrape_error 0",
        "resource_scrape_error 0",
    ):
        assert line in text
    failed = render(resource.families(None)).decode().splitlines()
    assert "resource_scrape_error 1" in failed
    assert not any(line.startswith("node_cpu") for line in failed)


def test_cadvisor_names_containers_and_sandboxes():
    platform = Platform(2, 2000, 0, "6.1", "Debian")
    text = render(cadvisor.families(USAGE, platform, "/kubepods")).decode()
    own = (
        'container="main",id="/kubepods/podu-1/c1",image="busybox",name="c1",'
        'namespace="default",pod="web"'
    )
    sandbox = (
        'container="",id="/kubepods/podu-1/s1",image="",name="s1",namespace="default",pod="web"'
    )
    for line in (
        f'container_cpu_usage_seconds_total{{{own},cpu="total"}} 2.5 12500',
        f"container_memory_working_set_bytes{{{own}}} 400 12500",
        f"container_cpu_cfs_throttled_periods_total{{{own}}} 4 12500",
        f"container_pressure_cpu_waiting_seconds_total{{{own}}} 2 12500",
        f"container_pressure_cpu_stalled_seconds_total{{{own}}} 1 12500",
        f'container_fs_usage_bytes{{{own},device=""}} 7 12500',
        f'container_network_receive_bytes_total{{{sandbox},interface="eth0"}} 10 12500',
        f'container_network_transmit_packets_dropped_total{{{sandbox},interface="eth0"}} 2 12500',
        'machine_cpu_cores{boot_id="",machine_id="",system_uuid=""} 2',
        "container_scrape_error 0",
    ):
        assert line in text.splitlines()


def test_pods_are_counted_by_what_they_do():
    pod = msgspec.convert({"metadata": {"name": "web"}}, Pod)
    observed = Observed(
        (Sandbox("s1", 0, ready=True),),
        (Container("c1", "main", 0, "s1", "running"), Container("c0", "main", 0, "s1", "exited")),
    )
    seen = [
        node.Seen(pod, observed, "Running"),
        node.Seen(pod, Observed(), "Succeeded"),
        node.Seen(pod, Observed(), "Pending", static=True),
    ]
    text = render(node.families(node.About("node-1", 5.0), seen)).decode().splitlines()
    for line in (
        'kubelet_node_name{node="node-1"} 1',
        "kubelet_running_pods 1",
        'kubelet_running_containers{container_state="running"} 1',
        'kubelet_running_containers{container_state="exited"} 1',
        'kubelet_active_pods{static=""} 1',
        'kubelet_desired_pods{static="true"} 1',
        "kubelet_mirror_pods 1",
        "kubelet_certificate_manager_client_ttl_seconds 5",
    ):
        assert line in text


def test_what_is_counted_has_upstreams_names():
    meters = Meters()
    meters.runtime_operations.add("exec_sync")
    meters.evictions.add("memory.available")
    text = render(families(meters)).decode()
    assert 'kubelet_runtime_operations_total{operation_type="exec_sync"} 1' in text
    assert 'kubelet_evictions{eviction_signal="memory.available"} 1' in text
    assert "kubelet_started_pods_total 0" in text
