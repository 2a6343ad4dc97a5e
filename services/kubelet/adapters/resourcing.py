"""Put together what bounds pods on this node: its amounts, cgroups, and what forbids to start."""

from dataclasses import replace

from pilothouse.services.kubelet.adapters.machine import cgroups, host, processors
from pilothouse.services.kubelet.adapters.machine.cgroups import NodeCgroups
from pilothouse.services.kubelet.config import PORT, Config
from pilothouse.services.kubelet.node import node
from pilothouse.services.kubelet.node.node import Identity, Machine
from pilothouse.services.kubelet.resources import allocatable, memory_nodes


def identity(config: Config, here: Machine) -> Identity:
    """Who the node is."""
    port = config.serving.port if config.serving is not None else PORT
    taints = [
        {"key": taint.key, "value": taint.value, "effect": taint.effect}
        for taint in config.kubelet.register_with_taints
    ]
    most = allocatable.pods_max(config.kubelet, here.cpus)
    return Identity(config.node_name, config.node_ip, port, most, taints=taints)


def here(config: Config) -> Machine:
    """This machine, with what is kept from pods."""
    found = host.read(config.paths.root)
    amounts = node.amounts(Identity(config.node_name, config.node_ip, 0, 0), found)
    return replace(found, reserved=allocatable.reserved(config.kubelet, amounts))


def limiting(config: Config, here: Machine) -> NodeCgroups:
    """Pods' cgroups, all together held to what the node can give."""
    kubelet = config.kubelet
    terms = allocatable.terms(kubelet, here.swap_bytes)
    made = NodeCgroups(config.cgroup_root, terms, kubelet.pod_pids_limit)
    amounts = node.amounts(Identity(config.node_name, config.node_ip, 0, 0), here)
    most = allocatable.together(kubelet, amounts)
    if most is not None:
        pids = host.processes_max() - allocatable.system(kubelet).get("pid", 0)
        made.enforce(most, pids)
    for cgroup, (limits, pids) in allocatable.enforced(kubelet).items():
        NodeCgroups(cgroup).enforce(limits, pids)
    return made


def problems(config: Config) -> list[str]:
    """Why the kubelet must not run on this host; a sentence each.

    Kubernetes refuses cgroup v1 unless told otherwise; here it works, and is refused if told so.
    """
    found = []
    refused = config.kubelet.fail_cgroup_v1 and "failCgroupV1" in config.chosen
    if refused and not cgroups.is_v2():
        found.append(
            "kubelet is configured to not run on a host using cgroup v1. cgroup v1 support is "
            "unsupported and will be removed in a future release (--fail-cgroupv1=false)"
        )
    if config.kubelet.fail_swap_on and host.swaps():
        found.append(
            "running with swap on is not supported, please disable swap or set --fail-swap-on "
            "flag to false"
        )
    found += [
        f'failed to enforce what is reserved: cgroup "{cgroup}" does not exist'
        for cgroup in allocatable.enforced(config.kubelet)
        if not cgroups.exists(cgroup)
    ]
    try:
        processors.recall(config)
        if config.kubelet.memory_manager_policy == memory_nodes.POLICY:
            config.paths.root.mkdir(parents=True, exist_ok=True)
            processors.recall_memory(config, here(config))
    except ValueError as error:
        found.append(f"failed to start the CPU and memory managers: {error}")
    return found
