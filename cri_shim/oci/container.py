"""The OCI spec of a container."""

from typing import Any

from pilothouse.cri_shim import configs
from pilothouse.cri_shim.configs import NODE, POD, TARGET, ContainerSecurity, SecurityProfile
from pilothouse.cri_shim.oci import capabilities, mounts, process, resources, seccomp
from pilothouse.cri_shim.oci.facts import Device, Machine, Wanted
from pilothouse.services.machinery.errors import Invalid

VERSION = "1.0.2"
CDI_ANNOTATION = "cdi.k8s.io/"


def spec(wanted: Wanted) -> dict[str, Any]:
    """The whole spec; Invalid names what can not be honoured."""
    config, security = wanted.config, wanted.config.linux.security_context
    refuse(wanted)
    made: dict[str, Any] = {
        "ociVersion": VERSION,
        "process": process.of(wanted),
        "root": {"path": "rootfs", "readonly": security.readonly_rootfs},
        "mounts": _mounts(wanted),
        "annotations": annotations(wanted),
        "linux": _linux(wanted),
    }
    profile = _apparmor(security, wanted.machine)
    if profile:
        made["process"]["apparmorProfile"] = profile
    if root := mounts.root_propagation(config.mounts):
        made["linux"]["rootfsPropagation"] = root
    return made


def refuse(wanted: Wanted) -> None:
    """Invalid for what is asked for and not honoured, by its name."""
    config = wanted.config
    if config.CDI_devices:
        raise Invalid(f"CDI device {config.CDI_devices[0].name}: CDI is not supported")
    for name in config.annotations:
        if name.startswith(CDI_ANNOTATION):
            raise Invalid(f"annotation {name}: CDI is not supported")
    options = config.linux.security_context.namespace_options.userns_options
    if options is not None and options.mode == POD:
        raise Invalid("user namespaces are not supported")
    within = wanted.sandbox.config.linux.security_context
    if config.linux.security_context.privileged and not within.privileged:
        raise Invalid("no privileged container allowed in sandbox")
    for mount in config.mounts:
        if mount.recursive_read_only and not wanted.machine.recursive_read_only:
            raise Invalid(f"{mount.container_path}: recursive read-only is not supported")


def annotations(wanted: Wanted) -> dict[str, str]:
    """By the sandbox's id the shim knows what belongs together; the others are for tools."""
    pod = wanted.sandbox.config.metadata
    return {
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.container-name": wanted.config.metadata.name,
        "io.kubernetes.cri.image-name": wanted.config.image.image,
        "io.kubernetes.cri.sandbox-id": wanted.sandbox.id,
        "io.kubernetes.cri.sandbox-name": pod.name,
        "io.kubernetes.cri.sandbox-namespace": pod.namespace,
        "io.kubernetes.cri.sandbox-uid": pod.uid,
    }


def _mounts(wanted: Wanted) -> list[Any]:
    config, files = wanted.config, wanted.files
    security = config.linux.security_context
    access = "ro" if security.readonly_rootfs else "rw"
    own = mounts.kernel(privileged=security.privileged)
    own += [
        mounts.bind(files.hostname, "/etc/hostname", access),
        mounts.bind(files.hosts, "/etc/hosts", access),
        mounts.bind(files.resolv_conf, "/etc/resolv.conf", access),
        mounts.bind(files.shm, "/dev/shm", "rw"),  # noqa: S108 - a container's own
    ]
    own += [mounts.bind(source, path, "rw") for source, path in wanted.volumes]
    return mounts.layered(own, [mounts.asked(item) for item in config.mounts])


def _linux(wanted: Wanted) -> dict[str, Any]:
    config, machine = wanted.config, wanted.machine
    security = config.linux.security_context
    limits = resources.limits(config.linux.resources, counts_swap=machine.counts_swap)
    limits["devices"] = device_rules(wanted.devices, privileged=security.privileged)
    parent = wanted.sandbox.config.linux.cgroup_parent
    found: dict[str, Any] = {
        "cgroupsPath": resources.cgroup_path(parent, wanted.id, systemd=machine.systemd_cgroups),
        "namespaces": _namespaces(wanted),
        "resources": limits,
        "devices": [_device(item) for item in wanted.devices],
    }
    if not security.privileged:
        found["maskedPaths"] = list(security.masked_paths)
        found["readonlyPaths"] = list(security.readonly_paths)
        profile = seccomp.wanted(security.seccomp, security.seccomp_profile_path)
        rules = filters(profile, wanted)
        if rules is not None:
            found["seccomp"] = rules
    return found


def filters(profile: SecurityProfile, wanted: Wanted) -> dict[str, Any] | None:
    """The system calls that a profile lets pass; None for all."""
    if profile.profile_type == configs.UNCONFINED:
        return None
    if profile.profile_type == configs.LOCALHOST:
        return wanted.seccomp
    asked = wanted.config.linux.security_context.capabilities
    bounding = capabilities.granted(asked, wanted.machine.capabilities, privileged=False)
    return seccomp.default(bounding, wanted.machine.name)


def _namespaces(wanted: Wanted) -> list[dict[str, str]]:
    """Those of the pause process, and of its own a mount and mostly a pid namespace."""
    pause = f"/proc/{wanted.sandbox.pid}/ns"
    security = wanted.config.linux.security_context
    found = [
        {"type": "mount"},
        {"type": "network", "path": f"{pause}/net"},
        {"type": "ipc", "path": f"{pause}/ipc"},
        {"type": "uts", "path": f"{pause}/uts"},
    ]
    mode = security.namespace_options.pid
    if mode == TARGET:
        found.append({"type": "pid", "path": f"/proc/{wanted.target_pid}/ns/pid"})
    elif mode == POD:
        found.append({"type": "pid", "path": f"{pause}/pid"})
    elif mode != NODE:
        found.append({"type": "pid"})
    if wanted.machine.unified_cgroups and not security.privileged:
        found.append({"type": "cgroup"})
    return found


def device_rules(devices: tuple[Device, ...], *, privileged: bool) -> list[dict[str, Any]]:
    """Which devices may be used; what every container needs is added by runc."""
    if privileged:
        return list(resources.DEVICES_ALLOWED)
    rules: list[dict[str, Any]] = list(resources.DEVICES_DENIED)
    rules += [
        {"allow": True, "type": item.type, "major": item.major, "minor": item.minor,
         "access": item.permissions}
        for item in devices
    ]  # fmt: skip
    return rules


def _device(item: Device) -> dict[str, Any]:
    return {
        "path": item.path, "type": item.type, "major": item.major, "minor": item.minor,
        "fileMode": item.mode, "uid": item.uid, "gid": item.gid,
    }  # fmt: skip


def _apparmor(security: ContainerSecurity, machine: Machine) -> str:
    """A profile of the node by its name; empty for none. Invalid where there is no AppArmor."""
    if security.privileged:
        return ""
    profile = security.apparmor
    name = security.apparmor_profile.removeprefix("localhost/")
    if profile is not None:
        name = profile.localhost_ref if profile.profile_type == configs.LOCALHOST else ""
    if name in {"", "unconfined", "runtime/default"}:
        return ""
    if not machine.apparmor:
        raise Invalid(f"AppArmor profile {name!r} is asked for, and the node has no AppArmor")
    return name
