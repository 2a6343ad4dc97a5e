"""What a KubeletConfiguration must not say, in Kubernetes' words. Pure."""

from collections.abc import Iterator, Mapping

from pilothouse.services.kubelet.configuration.fields import KubeletConfiguration
from pilothouse.services.machinery import durations, quantity
from pilothouse.services.machinery.durations import render

PORT_MAX = 65535
PERCENT_MAX = 100
BIT_MAX = 31
OOM_SCORE_MAX = 1000
CFS_PERIOD_MIN, CFS_PERIOD_MAX = 0.001, 1.0
RESTART_MIN, RESTART_MAX = 1.0, 300.0
SIGNALS = frozenset({
    "memory.available", "allocatableMemory.available", "pid.available",
    "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree",
    "containerfs.available", "containerfs.inodesFree",
})  # fmt: skip
RESERVED = frozenset({"cpu", "memory", "ephemeral-storage", "pid"})
_TOPOLOGY = ("none", "best-effort", "restricted", "single-numa-node")
_ENFORCED = frozenset({
    "none", "pods", "system-reserved", "kube-reserved",
    "system-reserved-compressible", "kube-reserved-compressible",
})  # fmt: skip


def problems(value: KubeletConfiguration) -> list[str]:
    """A sentence each; none when all is well."""
    found = (*_numbers(value), *_images(value), *_choices(value), *_eviction(value))
    reserves = (*_reserved(value), *_enforced(value))
    told = (*_ports(value), *found, *reserves, *_periods(value))
    return [f"invalid configuration: {text}" for text in told]


def _ports(value: KubeletConfiguration) -> Iterator[str]:
    if not 1 <= value.port <= PORT_MAX:
        yield f"port (--port) {value.port} must be between 1 and 65535, inclusive"
    for name, flag, port in (
        ("readOnlyPort", "--read-only-port", value.read_only_port),
        ("healthzPort", "--healthz-port", value.healthz_port),
    ):
        if not 0 <= port <= PORT_MAX:
            yield f"{name} ({flag}) {port} must be between 0 and 65535, inclusive"


def _numbers(value: KubeletConfiguration) -> Iterator[str]:
    for name, flag, bit in (
        ("iptablesDropBit", "--iptables-drop-bit", value.iptables_drop_bit),
        ("iptablesMasqueradeBit", "--iptables-masquerade-bit", value.iptables_masquerade_bit),
    ):
        if not 0 <= bit <= BIT_MAX:
            yield f"{name} ({flag}) {bit} must be between 0 and 31, inclusive"
    for name, flag, amount in (
        ("eventBurst", "--event-burst", value.event_burst),
        ("eventRecordQPS", "--event-qps", value.event_record_qps),
        ("kubeAPIBurst", "--kube-api-burst", value.kube_api_burst),
        ("kubeAPIQPS", "--kube-api-qps", value.kube_api_qps),
        ("maxOpenFiles", "--max-open-files", value.max_open_files),
        ("maxPods", "--max-pods", value.max_pods),
        ("podsPerCore", "--pods-per-core", value.pods_per_core),
        ("registryBurst", "--registry-burst", value.registry_burst),
        ("registryPullQPS", "--registry-qps", value.registry_pull_qps),
    ):
        if amount < 0:
            yield f"{name} ({flag}) {amount} must not be a negative number"
    if abs(value.oom_score_adj) > OOM_SCORE_MAX:
        score = value.oom_score_adj
        yield f"oomScoreAdj (--oom-score-adj) {score} must be between -1000 and 1000, inclusive"
    if value.node_lease_duration_seconds <= 0:
        yield "nodeLeaseDurationSeconds must be greater than 0"
    if value.node_status_max_images < -1:
        images = value.node_status_max_images
        yield f"nodeStatusMaxImages (--node-status-max-images) {images} must be -1 or greater"


def _images(value: KubeletConfiguration) -> Iterator[str]:
    high, low = value.image_gc_high_threshold_percent, value.image_gc_low_threshold_percent
    for name, flag, percent in (
        ("imageGCHighThresholdPercent", "--image-gc-high-threshold", high),
        ("imageGCLowThresholdPercent", "--image-gc-low-threshold", low),
    ):
        if not 0 <= percent <= PERCENT_MAX:
            yield f"{name} ({flag}) {percent} must be between 0 and 100, inclusive"
    if low >= high:
        yield (
            f"imageGCLowThresholdPercent (--image-gc-low-threshold) {low} must be less than "
            f"imageGCHighThresholdPercent (--image-gc-high-threshold) {high}"
        )
    least, most = value.image_minimum_gc_age, value.image_maximum_gc_age
    for name, age in (("imageMinimumGCAge", least), ("imageMaximumGCAge", most)):
        if age < 0:
            yield f"{name} {render(age)} must not be negative"
    if 0 < most <= least:
        told = f"greater than imageMinimumGCAge {render(least)}"
        yield f"imageMaximumGCAge {render(most)} must be {told}"
    pulls = value.max_parallel_image_pulls
    if pulls is not None and pulls < 1:
        yield f"maxParallelImagePulls {pulls} must be a positive number"
    if value.serialize_image_pulls and (pulls or 0) > 1:
        yield (
            "maxParallelImagePulls cannot be larger than 1 unless SerializeImagePulls "
            "(--serialize-image-pulls) is set to false"
        )


def _choices(value: KubeletConfiguration) -> Iterator[str]:
    for name, said, allowed in (
        ("topologyManagerPolicy (--topology-manager-policy)", value.topology_manager_policy,
         _TOPOLOGY),
        ("topologyManagerScope (--topology-manager-scope)", value.topology_manager_scope,
         ("container", "pod")),
        ("cpuManagerPolicy (--cpu-manager-policy)", value.cpu_manager_policy.lower(),
         ("none", "static")),
        ("memoryManagerPolicy (--memory-manager-policy)", value.memory_manager_policy,
         ("None", "Static")),
        ("cgroupDriver (--cgroup-driver)", value.cgroup_driver, ("cgroupfs", "systemd")),
        ("memorySwap.swapBehavior", value.memory_swap.swap_behavior,
         ("", "LimitedSwap", "NoSwap")),
        ("hairpinMode (--hairpin-mode)", value.hairpin_mode,
         ("hairpin-veth", "promiscuous-bridge", "none")),
        ("authorization.mode (--authorization-mode)", value.authorization.mode,
         ("AlwaysAllow", "Webhook")),
    ):  # fmt: skip
        if said not in allowed:
            told = " ".join(f'"{item}"' for item in allowed)
            yield f'{name} "{said}" must be one of: [{told}]'
    if value.run_once:
        yield "runOnce (--runOnce) true, Runonce mode has been deprecated and should not be set"
    if value.cgroup_driver == "systemd":
        yield 'cgroupDriver (--cgroup-driver) "systemd" is not supported here; "cgroupfs" is'
    if value.topology_manager_policy != "none" and value.topology_manager_policy in _TOPOLOGY:
        told = f'"{value.topology_manager_policy}" is not supported here; "none" is'
        yield f"topologyManagerPolicy (--topology-manager-policy) {told}"


def _eviction(value: KubeletConfiguration) -> Iterator[str]:
    for name in ("evictionHard", "evictionSoft", "evictionMinimumReclaim"):
        for signal, amount in _map_of(value, name).items():
            if signal not in SIGNALS:
                yield f"{name}: unsupported eviction signal {signal}"
            elif not _is_threshold(amount):
                yield f"{name}: invalid eviction threshold {amount} for {signal}"
    for signal in value.eviction_soft:
        if signal not in value.eviction_soft_grace_period:
            yield f"grace period must be specified for the soft eviction threshold {signal}"
    for signal, span in value.eviction_soft_grace_period.items():
        try:
            durations.parse(span)
        except ValueError as error:
            yield f"evictionSoftGracePeriod: {signal}: {error}"


def _map_of(value: KubeletConfiguration, name: str) -> Mapping[str, str]:
    return {
        "evictionHard": value.eviction_hard,
        "evictionSoft": value.eviction_soft,
        "evictionMinimumReclaim": value.eviction_minimum_reclaim,
    }[name]


def _is_threshold(text: str) -> bool:
    try:
        if text.endswith("%"):
            return 0 <= float(text[:-1]) <= PERCENT_MAX
        return quantity.parse(text) >= 0
    except ValueError:
        return False


def _reserved(value: KubeletConfiguration) -> Iterator[str]:
    for name, reserved in (
        ("systemReserved", value.system_reserved), ("kubeReserved", value.kube_reserved)
    ):  # fmt: skip
        for resource, amount in reserved.items():
            if resource not in RESERVED:
                yield f'the "{resource}" resource cannot be reserved ({name})'
            elif not _is_threshold(str(amount)) or str(amount).endswith("%"):
                yield f"{name}: {resource} quantity cannot be {amount}"


def _enforced(value: KubeletConfiguration) -> Iterator[str]:
    enforced = value.enforce_node_allocatable
    for item in enforced:
        if item not in _ENFORCED:
            yield f'option "{item}" specified for enforceNodeAllocatable is not valid'
    for item in ("system-reserved", "kube-reserved"):
        both = f"{item}-compressible"
        if item in enforced and both in enforced:
            yield f'both "{both}" and "{item}" cannot be specified together'
    if "none" in enforced and len(enforced) > 1:
        yield 'enforceNodeAllocatable may not contain additional enforcements when "none" is there'
    if "pods" in enforced and not value.cgroups_per_qos:
        yield 'enforceNodeAllocatable "pods" needs cgroupsPerQOS (--cgroups-per-qos)'
    for item, cgroup in (
        ("system-reserved", value.system_reserved_cgroup),
        ("kube-reserved", value.kube_reserved_cgroup),
    ):
        if (item in enforced or f"{item}-compressible" in enforced) and not cgroup:
            yield f'a cgroup must be named when "{item}" is in enforceNodeAllocatable'
    if value.reserved_system_cpus and (value.system_reserved_cgroup or value.kube_reserved_cgroup):
        told = "systemReservedCgroup or kubeReservedCgroup"
        yield f"can't use reservedSystemCPUs (--reserved-cpus) with {told}"


def _periods(value: KubeletConfiguration) -> Iterator[str]:
    if value.container_log_max_files <= 1:
        yield "containerLogMaxFiles must be greater than 1"
    if value.container_log_max_workers < 1:
        yield "containerLogMaxWorkers must be greater than or equal to 1"
    if not CFS_PERIOD_MIN <= value.cpu_cfs_quota_period <= CFS_PERIOD_MAX:
        told = render(value.cpu_cfs_quota_period)
        yield f"cpuCFSQuotaPeriod (--cpu-cfs-quota-period) {told} must be between 1ms and 1sec"
    grace, critical = value.shutdown_grace_period, value.shutdown_grace_period_critical_pods
    if critical > grace:
        told = f"{render(critical)} must be <= shutdownGracePeriod {render(grace)}"
        yield f"shutdownGracePeriodCriticalPods {told}"
    for name, span in (
        ("shutdownGracePeriod", grace), ("shutdownGracePeriodCriticalPods", critical)
    ):  # fmt: skip
        if span < 0 or 0 < span < 1:
            yield f"{name} {render(span)} must be either zero or otherwise >= 1 sec"
    if value.shutdown_grace_period_by_pod_priority and (grace or critical):
        yield (
            "Cannot specify both shutdownGracePeriodByPodPriority and shutdownGracePeriod "
            "at the same time"
        )
    restart = value.crash_loop_back_off.max_container_restart_period
    if restart is not None and not RESTART_MIN <= restart <= RESTART_MAX:
        told = f"(got: {restart:g} seconds) must be set between 1s and 300s"
        yield f"CrashLoopBackOff.MaxContainerRestartPeriod {told}"
