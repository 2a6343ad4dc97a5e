"""The Summary API's shape."""

from pilothouse.services.kubelet.stats import summary
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
    Usage,
    VolumeUsage,
    together,
)

AT = 1_700_000_000.0
TIME = "2023-11-14T22:13:20Z"
CGROUP = Cgroup(
    AT,
    9_000,
    memory=Memory(usage_bytes=500, inactive_file_bytes=100, rss_bytes=50, limit_bytes=1000),
    processes=4,
    pressures={"cpu": Pressure(), "io": Pressure()},
)
DISK = Filesystem(AT, 100, 60, 40, 10, 8, 2)


def _usage():
    container = ContainerUsage(Part("main", AT, CGROUP, 7), "abc", rootfs=DISK, logs=DISK)
    pod = PodUsage(
        "default",
        "web",
        "u-1",
        Part("", AT, CGROUP, 8),
        (container,),
        network=Network(AT, (Interface("eth0", 1, 0, 0, 0, 2),), "eth0"),
        volumes=(VolumeUsage("data", DISK),),
        ephemeral=together(AT, (DISK, DISK, None)),
    )
    node = NodeUsage(
        Part("node-1", AT, CGROUP, 9),
        memory_bytes=2000,
        systems=(Part("pods", AT, CGROUP),),
        filesystem=DISK,
        images=DISK,
        processes=11,
        processes_max=99,
    )
    return Usage(node, (pod,))


def test_a_pod():
    pod = summary.render(_usage())["pods"][0]
    assert pod["podRef"] == {"name": "web", "namespace": "default", "uid": "u-1"}
    assert pod["cpu"] | {"psi": 0} == {
        "time": TIME,
        "usageNanoCores": 8,
        "usageCoreNanoSeconds": 9_000,
        "psi": 0,
    }
    assert pod["memory"] == {
        "time": TIME,
        "availableBytes": 600,
        "usageBytes": 500,
        "workingSetBytes": 400,
        "rssBytes": 50,
        "pageFaults": 0,
        "majorPageFaults": 0,
    }
    assert pod["network"]["name"] == "eth0"
    assert pod["network"]["interfaces"] == [
        {"name": "eth0", "rxBytes": 1, "rxErrors": 0, "txBytes": 2, "txErrors": 0}
    ]
    assert (pod["volume"][0]["name"], pod["volume"][0]["usedBytes"]) == ("data", 40)
    assert pod["ephemeral-storage"]["usedBytes"] == 80
    assert pod["ephemeral-storage"]["capacityBytes"] == 100
    assert pod["process_stats"] == {"process_count": 4}
    assert pod["containers"][0]["rootfs"]["inodesUsed"] == 2
    assert pod["io"]["psi"]["some"] == {"total": 0, "avg10": 0.0, "avg60": 0.0, "avg300": 0.0}


def test_the_node():
    node = summary.render(_usage())["node"]
    assert node["nodeName"] == "node-1"
    assert node["memory"]["availableBytes"] == 1600
    assert node["systemContainers"][0]["name"] == "pods"
    assert node["rlimit"] == {"time": TIME, "maxpid": 99, "curproc": 11}
    assert node["runtime"].keys() == {"imageFs", "containerFs"}
    assert node["fs"]["availableBytes"] == 60


def test_cpu_and_memory_alone():
    told = summary.render(_usage(), only_processing=True)
    assert told["pods"][0].keys() == {"podRef", "startTime", "containers", "cpu", "memory"}
    assert told["pods"][0]["containers"][0].keys() == {"name", "startTime", "cpu", "memory"}
    assert told["node"].keys() == {"nodeName", "systemContainers", "startTime", "cpu", "memory"}
