"""Flags that say what the file could have said; Kubernetes keeps them for what they were. Pure."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

_TRUE, _FALSE = ("true", "1", "t"), ("false", "0", "f")


def truth(text: str) -> bool:
    """``true`` or ``false``, as Go reads them."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise argparse.ArgumentTypeError(f'invalid boolean value "{text}"')


def words(text: str) -> list[str]:
    """Comma separated."""
    return [word.strip() for word in text.split(",") if word.strip()]


def pairs(text: str) -> dict[str, str]:
    """``a=b,c=d``."""
    return dict(_split(item, "=") for item in words(text))


def thresholds(text: str) -> dict[str, str]:
    """``memory.available<100Mi,nodefs.available<10%``."""
    return dict(_split(item, "<") for item in words(text))


def _gates(text: str) -> dict[str, bool]:
    return {name: truth(value) for name, value in pairs(text).items()}


def _taints(text: str) -> list[dict[str, str]]:
    """``key=value:Effect``, the value with its sign left out where there is none."""
    found = []
    for item in words(text):
        said, effect = _split(item, ":")
        key, _, value = said.partition("=")
        found.append({"key": key, "value": value, "effect": effect})
    return found


def _reserved_memory(text: str) -> list[dict[str, Any]]:
    """``0:memory=1Gi,hugepages-1Gi=2Gi;1:memory=2Gi``: by NUMA node."""
    found = []
    for item in filter(None, text.split(";")):
        number, limits = _split(item, ":")
        found.append({"numaNode": int(number), "limits": pairs(limits)})
    return found


def _split(text: str, sign: str) -> tuple[str, str]:
    name, found, value = text.partition(sign)
    if not found or not name:
        raise argparse.ArgumentTypeError(f'"{text}" has no "{sign}"')
    return name.strip(), value.strip()


_KINDS: Mapping[Callable[[str], Any], Mapping[str, str]] = {
    str: {
        "address": "address", "authorization-mode": "authorization.mode",
        "authentication-token-webhook-cache-ttl": "authentication.webhook.cacheTTL",
        "authorization-webhook-cache-authorized-ttl": "authorization.webhook.cacheAuthorizedTTL",
        "authorization-webhook-cache-unauthorized-ttl":
            "authorization.webhook.cacheUnauthorizedTTL",
        "cgroup-driver": "cgroupDriver", "client-ca-file": "authentication.x509.clientCAFile",
        "cluster-domain": "clusterDomain", "container-log-max-size": "containerLogMaxSize",
        "container-runtime-endpoint": "containerRuntimeEndpoint",
        "cpu-cfs-quota-period": "cpuCFSQuotaPeriod", "cpu-manager-policy": "cpuManagerPolicy",
        "cpu-manager-reconcile-period": "cpuManagerReconcilePeriod",
        "eviction-pressure-transition-period": "evictionPressureTransitionPeriod",
        "file-check-frequency": "fileCheckFrequency", "hairpin-mode": "hairpinMode",
        "healthz-bind-address": "healthzBindAddress", "http-check-frequency": "httpCheckFrequency",
        "image-service-endpoint": "imageServiceEndpoint", "kube-api-content-type": "contentType",
        "kube-reserved-cgroup": "kubeReservedCgroup", "kubelet-cgroups": "kubeletCgroups",
        "manifest-url": "staticPodURL", "maximum-image-ttl-duration": "imageMaximumGCAge",
        "memory-manager-policy": "memoryManagerPolicy",
        "minimum-image-ttl-duration": "imageMinimumGCAge",
        "node-status-update-frequency": "nodeStatusUpdateFrequency", "pod-cidr": "podCIDR",
        "provider-id": "providerID",
        "pod-manifest-path": "staticPodPath", "reserved-cpus": "reservedSystemCPUs",
        "resolv-conf": "resolvConf", "runtime-request-timeout": "runtimeRequestTimeout",
        "streaming-connection-idle-timeout": "streamingConnectionIdleTimeout",
        "sync-frequency": "syncFrequency", "system-cgroups": "systemCgroups",
        "system-reserved-cgroup": "systemReservedCgroup", "tls-cert-file": "tlsCertFile",
        "tls-min-version": "tlsMinVersion", "tls-private-key-file": "tlsPrivateKeyFile",
        "topology-manager-policy": "topologyManagerPolicy",
        "topology-manager-scope": "topologyManagerScope",
        "volume-plugin-dir": "volumePluginDir", "volume-stats-agg-period": "volumeStatsAggPeriod",
        "shutdown-grace-period": "shutdownGracePeriod",
        "shutdown-grace-period-critical-pods": "shutdownGracePeriodCriticalPods",
    },
    int: {
        "container-log-max-files": "containerLogMaxFiles", "event-burst": "eventBurst",
        "event-qps": "eventRecordQPS",
        "eviction-max-pod-grace-period": "evictionMaxPodGracePeriod",
        "healthz-port": "healthzPort", "image-gc-high-threshold": "imageGCHighThresholdPercent",
        "image-gc-low-threshold": "imageGCLowThresholdPercent",
        "iptables-drop-bit": "iptablesDropBit", "iptables-masquerade-bit": "iptablesMasqueradeBit",
        "kube-api-burst": "kubeAPIBurst", "kube-api-qps": "kubeAPIQPS",
        "max-open-files": "maxOpenFiles", "max-pods": "maxPods",
        "max-parallel-image-pulls": "maxParallelImagePulls",
        "node-status-max-images": "nodeStatusMaxImages", "oom-score-adj": "oomScoreAdj",
        "pod-max-pids": "podPidsLimit", "pods-per-core": "podsPerCore", "port": "port",
        "read-only-port": "readOnlyPort", "registry-burst": "registryBurst",
        "registry-qps": "registryPullQPS",
    },
    truth: {
        "anonymous-auth": "authentication.anonymous.enabled",
        "authentication-token-webhook": "authentication.webhook.enabled",
        "cgroups-per-qos": "cgroupsPerQOS", "contention-profiling": "enableContentionProfiling",
        "cpu-cfs-quota": "cpuCFSQuota",
        "enable-controller-attach-detach": "enableControllerAttachDetach",
        "enable-debugging-handlers": "enableDebuggingHandlers", "enable-server": "enableServer",
        "fail-cgroupv1": "failCgroupV1", "fail-swap-on": "failSwapOn",
        "kernel-memcg-notification": "kernelMemcgNotification",
        "local-storage-capacity-isolation": "localStorageCapacityIsolation",
        "make-iptables-util-chains": "makeIPTablesUtilChains",
        "protect-kernel-defaults": "protectKernelDefaults", "register-node": "registerNode",
        "rotate-certificates": "rotateCertificates", "seccomp-default": "seccompDefault",
        "serialize-image-pulls": "serializeImagePulls",
    },
    words: {
        "allowed-unsafe-sysctls": "allowedUnsafeSysctls", "cluster-dns": "clusterDNS",
        "enforce-node-allocatable": "enforceNodeAllocatable",
        "tls-cipher-suites": "tlsCipherSuites",
    },
    pairs: {
        "cpu-manager-policy-options": "cpuManagerPolicyOptions",
        "eviction-minimum-reclaim": "evictionMinimumReclaim",
        "eviction-soft-grace-period": "evictionSoftGracePeriod", "kube-reserved": "kubeReserved",
        "qos-reserved": "qosReserved", "system-reserved": "systemReserved",
        "topology-manager-policy-options": "topologyManagerPolicyOptions",
    },
    thresholds: {"eviction-hard": "evictionHard", "eviction-soft": "evictionSoft"},
    _gates: {"feature-gates": "featureGates"},
    _taints: {"register-with-taints": "registerWithTaints"},
    _reserved_memory: {"reserved-memory": "reservedMemory"},
}  # fmt: skip


def flag_of(name: str) -> str:
    """The flag behind a parsed name: a field's path here, or the flag in snake case."""
    found = (flag for flags in _KINDS.values() for flag, path in flags.items() if path == name)
    return next(found, name.replace("_", "-"))


def add(parser: argparse.ArgumentParser) -> None:
    """Every one of them; what is not given stays None."""
    group = parser.add_argument_group("what the file of --config can say too")
    for kind, flags in _KINDS.items():
        for flag, path in flags.items():
            if kind is truth:
                group.add_argument(
                    f"--{flag}", dest=path, type=truth, nargs="?", const=True, help=path
                )
            else:
                group.add_argument(f"--{flag}", dest=path, type=kind, help=path)


def given(parsed: argparse.Namespace) -> dict[str, Any]:
    """What was given, by the field's path in the file."""
    found = vars(parsed)
    paths = [path for flags in _KINDS.values() for path in flags.values()]
    return {path: found[path] for path in paths if found[path] is not None}
