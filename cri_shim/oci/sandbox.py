"""The OCI spec of a sandbox: the pause process, whose namespaces the pod's containers share."""

from typing import Any

from pilothouse.cri_shim import configs
from pilothouse.cri_shim.configs import NODE, POD, Capability
from pilothouse.cri_shim.oci import capabilities, mounts, process, resources, seccomp
from pilothouse.cri_shim.oci.container import VERSION
from pilothouse.cri_shim.oci.facts import Machine, SandboxFiles
from pilothouse.cri_shim.ports import ImageConfig
from pilothouse.cri_shim.records import SandboxRecord
from pilothouse.services.machinery.errors import Invalid

OOM_SCORE_ADJ = -998
"""Whoever kills the pause process kills the pod."""
MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
)  # fmt: skip
READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
ANY_PORT, ANY_PING = "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range"


def spec(
    record: SandboxRecord, root: str, image: ImageConfig, files: SandboxFiles, machine: Machine
) -> dict[str, Any]:
    """The whole spec; ``root`` is the pause image's root directory, read by all sandboxes."""
    config = record.config
    security = config.linux.security_context
    privileged = security.privileged
    made = {
        "ociVersion": VERSION,
        "process": {
            "user": _user(security),
            "args": [*image.entrypoint, *image.cmd],
            "env": [process.PATH, *image.env],
            "cwd": image.working_dir or "/",
            "capabilities": capabilities.of_process(
                Capability(), machine.capabilities, privileged=False
            ),
            "noNewPrivileges": True,
            "oomScoreAdj": resources.oom_score_adj(
                OOM_SCORE_ADJ, machine.own_oom_score_adj, may_lower=machine.may_lower_oom_score
            ),
        },
        "root": {"path": root, "readonly": True},
        "hostname": config.hostname if security.namespace_options.network == POD else "",
        "mounts": [
            *mounts.kernel(privileged=privileged)[:4],
            mounts.kernel(privileged=privileged)[4],
            mounts.bind(files.shm, "/dev/shm", "rw"),  # noqa: S108 - a sandbox's own
            mounts.bind(files.resolv_conf, "/etc/resolv.conf", "ro"),
        ],
        "annotations": _annotations(record),
        "linux": _linux(record, machine),
    }
    if not made["hostname"]:
        del made["hostname"]
    return made


def refuse(config: configs.PodSandboxConfig) -> None:
    """Invalid for what is asked for and not honoured, by its name."""
    if not config.metadata.name or not config.metadata.uid:
        raise Invalid("sandbox config must include metadata")
    options = config.linux.security_context.namespace_options
    if options.userns_options is not None and options.userns_options.mode == POD:
        raise Invalid("user namespaces are not supported")
    if options.network == NODE:
        for name in config.linux.sysctls:
            if name.startswith("net."):
                raise Invalid(f"sysctl {name} is not allowed in the node's network")


def _user(security: configs.SandboxSecurity) -> dict[str, Any]:
    uid = 0 if security.run_as_user is None else security.run_as_user.value
    gid = 0 if security.run_as_group is None else security.run_as_group.value
    return {"uid": uid, "gid": gid, "additionalGids": sorted({gid, *security.supplemental_groups})}


def _annotations(record: SandboxRecord) -> dict[str, str]:
    pod = record.config.metadata
    return {
        "io.kubernetes.cri.container-type": "sandbox",
        "io.kubernetes.cri.sandbox-id": record.id,
        "io.kubernetes.cri.sandbox-name": pod.name,
        "io.kubernetes.cri.sandbox-namespace": pod.namespace,
        "io.kubernetes.cri.sandbox-uid": pod.uid,
        "io.kubernetes.cri.sandbox-log-directory": record.config.log_directory,
    }


def _linux(record: SandboxRecord, machine: Machine) -> dict[str, Any]:
    security = record.config.linux.security_context
    found: dict[str, Any] = {
        "cgroupsPath": record.cgroup_path,
        "namespaces": _namespaces(record, machine),
        "resources": {
            "cpu": {"shares": resources.SANDBOX_SHARES},
            "devices": resources.DEVICES_DENIED,
        },
        "maskedPaths": list(MASKED),
        "readonlyPaths": list(READONLY),
        "sysctl": sysctls(record),
    }
    profile = seccomp.wanted(security.seccomp, security.seccomp_profile_path)
    if not security.privileged and profile.profile_type == configs.RUNTIME_DEFAULT:
        bounding = capabilities.granted(Capability(), machine.capabilities, privileged=False)
        found["seccomp"] = seccomp.default(bounding, machine.name)
    return found


def sysctls(record: SandboxRecord) -> dict[str, str]:
    """What is asked for; and in a network of its own every port and ping are for everybody."""
    asked = record.config.linux.sysctls
    if record.config.linux.security_context.namespace_options.network != POD:
        return asked
    return {ANY_PORT: "0", ANY_PING: "0 2147483647"} | asked


def _namespaces(record: SandboxRecord, machine: Machine) -> list[dict[str, str]]:
    options = record.config.linux.security_context.namespace_options
    found = [{"type": "mount"}]
    if options.network == POD:
        found += [{"type": "network", "path": record.netns}, {"type": "uts"}]
    if options.ipc != NODE:
        found.append({"type": "ipc"})
    if options.pid != NODE:
        found.append({"type": "pid"})
    if machine.unified_cgroups:
        found.append({"type": "cgroup"})
    return found
