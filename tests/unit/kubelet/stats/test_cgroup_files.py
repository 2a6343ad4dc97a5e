"""Texts of cgroups to amounts."""

from pilothouse.services.kubelet.adapters.machine.usage.cgroups import CgroupFiles
from pilothouse.services.kubelet.stats import cgroup_files, proc_files
from pilothouse.services.kubelet.stats.values import Cgroup, Interface, rate
from pilothouse.services.runtime.clock import SystemClock

V1 = {
    "cpuacct.usage": "5000000000\n",
    "cpuacct.stat": "user 300\nsystem 100\n",
    "cpu.stat": "nr_periods 10\nnr_throttled 2\nthrottled_time 70\n",
    "cpu.cfs_quota_us": "-1\n",
    "cpu.cfs_period_us": "100000\n",
    "memory.usage_in_bytes": "1000\n",
    "memory.stat": "rss 1\npgfault 2\ntotal_rss 300\ntotal_inactive_file 400\ntotal_pgfault 7\n",
    "memory.limit_in_bytes": "9223372036854771712\n",
    "pids.current": "3\n",
    "pids.max": "max\n",
}
V2 = {
    "cpu.stat": "usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnr_periods 4\n",
    "cpu.max": "50000 100000\n",
    "cpu.weight": "1\n",
    "memory.current": "1000\n",
    "memory.stat": "anon 300\nfile 500\ninactive_file 1400\npgmajfault 1\n",
    "memory.max": "4096\n",
    "memory.swap.current": "0\n",
    "pids.current": "3\n",
    "pids.max": "64\n",
    "cpu.pressure": "some avg10=1.50 avg60=0.20 avg300=0.00 total=42\nfull avg10=0.00 total=7\n",
}


def test_version_one():
    found = cgroup_files.decode_v1(V1, 9.0)
    assert (found.cpu_nanoseconds, found.cpu_user_nanoseconds) == (5_000_000_000, 3_000_000_000)
    assert found.memory.working_set_bytes == 600
    assert (found.memory.rss_bytes, found.memory.page_faults) == (300, 7)
    assert found.memory.limit_bytes is None
    assert found.memory.available_bytes is None
    assert (found.processes, found.processes_max) == (3, None)
    assert (found.throttling.throttled, found.throttling.quota_microseconds) == (2, 0)


def test_version_two():
    found = cgroup_files.decode_v2(V2, 9.0)
    assert (found.cpu_nanoseconds, found.cpu_system_nanoseconds) == (5_000_000, 2_000_000)
    assert found.memory.working_set_bytes == 0
    assert found.memory.available_bytes == 4096
    assert found.memory.swap_bytes == 0
    assert found.throttling.quota_microseconds == 50_000
    assert found.throttling.shares == 2
    assert found.pressures["cpu"].some.avg10 == 1.5
    assert found.pressures["cpu"].full.total == 7
    assert "memory" not in found.pressures


def test_a_rate_needs_time_between():
    start, later = Cgroup(10.0, 1_000), Cgroup(12.0, 5_000)
    assert rate(start, later, 0.0) == 2_000
    assert rate(None, later, 11.0) == 5_000
    assert rate(start, start, 0.0) is None
    assert rate(later, Cgroup(13.0, 10), 0.0) is None


def test_interfaces_without_loopback():
    text = (
        "Inter-|   Receive\n face |bytes packets\n"
        "    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n"
        "  eth0: 10 2 1 3 0 0 0 0 20 4 5 6 0 0 0 0\n"
    )
    assert proc_files.interfaces(text) == (Interface("eth0", 10, 2, 1, 3, 20, 4, 5, 6),)
    route = "Iface\tDestination\tGateway\neth0\t00000000\t010AF40A\n"
    assert proc_files.default_interface(route) == "eth0"


def test_the_machine():
    assert proc_files.amounts("MemTotal:  2 kB\nHugePages: 3\n") == {
        "MemTotal": 2048,
        "HugePages": 3,
    }
    assert proc_files.boot_time("cpu 1\nbtime 77\n") == 77.0
    assert proc_files.processes("0.1 0.2 0.3 2/345 678\n") == 345


def test_files_of_either_version_are_found(tmp_path):
    clock = SystemClock()
    for name, text in V1.items():
        controller = {"cpuacct": "cpuacct", "cpu": "cpu", "pids": "pids"}.get(
            name.partition(".")[0], "memory"
        )
        place = tmp_path / "one" / controller / "kubepods"
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    waits = tmp_path / "one" / "unified" / "kubepods"
    waits.mkdir(parents=True)
    (waits / "cpu.pressure").write_text(V2["cpu.pressure"])
    (tmp_path / "one" / "pids" / "kubepods" / "cgroup.procs").write_text("12\n13\n")
    one = CgroupFiles(clock, tmp_path / "one")
    found = one.read("/kubepods")
    assert found is not None
    assert (found.memory.usage_bytes, found.processes) == (1000, 3)
    assert found.pressures["cpu"].some.total == 42
    assert one.first_process("kubepods") == 12
    assert one.read("absent") is None

    top = tmp_path / "two"
    (top / "kubepods").mkdir(parents=True)
    (top / "cgroup.controllers").write_text("cpu memory\n")
    (top / "cpu.stat").write_text(V2["cpu.stat"])
    for name, text in V2.items():
        (top / "kubepods" / name).write_text(text)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 100 kB\nMemFree: 40 kB\n")
    two = CgroupFiles(clock, top, tmp_path / "proc")
    below, root = two.read("kubepods"), two.read("/")
    assert below is not None
    assert below.memory.limit_bytes == 4096
    assert root is not None
    assert root.memory.usage_bytes == 60 * 1024
    assert root.cpu_nanoseconds == 5_000_000
