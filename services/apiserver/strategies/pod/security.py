"""Rules of security contexts and sysctls."""

import re

from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

ID_MAX = 2**31 - 1
SYSCTL_MAX = 253
_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"({_SEGMENT}[\./])*{_SEGMENT}"
_SYSCTL_FORM = re.compile(_SYSCTL)
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_PROFILE_BYTES_MAX = 4095
_NET = ("net.",)
_IPC = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")
_CHOICES = {
    "fsGroupChangePolicy": ("Always", "OnRootMismatch"),
    "supplementalGroupsPolicy": ("Merge", "Strict"),
    "seLinuxChangePolicy": ("MountOption", "Recursive"),
}
_WINDOWS = "windows options cannot be set for a linux pod"


def check_pod_context(context: Body, spec: Body, path: str) -> list[Cause]:
    """``spec.securityContext``."""
    if not context:
        return []
    causes = _ids(context, ("fsGroup", "runAsUser", "runAsGroup"), path)
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        causes += names.check_range(group, 0, ID_MAX, f"{path}.supplementalGroups[{index}]")
    if context.get("sysctls"):
        causes += _sysctls(context["sysctls"], spec, f"{path}.sysctls")
    for field, choices in _CHOICES.items():
        if context.get(field) is not None and context[field] not in choices:
            causes.append(names.unsupported(f"{path}.{field}", context[field], choices))
    causes += _profiles(context, path)
    return causes


def check_container_context(context: Body, path: str, *, host_users: bool) -> list[Cause]:
    """``securityContext`` of a container."""
    causes = _ids(context, ("runAsUser", "runAsGroup"), path)
    mount = context.get("procMount")
    if mount is not None:
        if mount not in ("Default", "Unmasked"):
            causes.append(names.unsupported(f"{path}.procMount", mount, ("Default", "Unmasked")))
        elif mount == "Unmasked" and host_users:
            detail = "`hostUsers` must be false to use `Unmasked`"
            causes.append(names.invalid(f"{path}.procMount", mount, detail))
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            causes.append(names.invalid(path, context, detail))
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` "
            causes.append(names.invalid(path, context, detail + "CAP_SYS_ADMIN"))
    return causes + _profiles(context, path)


def _ids(context: Body, fields: tuple[str, ...], path: str) -> list[Cause]:
    causes: list[Cause] = []
    for field in fields:
        if (value := context.get(field)) is not None:
            causes += names.check_range(value, 0, ID_MAX, f"{path}.{field}")
    return causes


def _sysctls(sysctls: list[Body], spec: Body, path: str) -> list[Cause]:
    causes = []
    seen: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        where, name = f"{path}[{index}].name", sysctl.get("name", "")
        if not name:
            causes.append(names.required(where))
        elif len(name) > SYSCTL_MAX or not _SYSCTL_FORM.fullmatch(name):
            detail = f"must have at most {SYSCTL_MAX} characters and match regex ^{_SYSCTL}$"
            causes.append(names.invalid(where, name, detail))
        elif name in seen:
            causes.append(names.duplicate(where, name))
        seen.add(name)
        plain = name.replace("/", ".")
        for field, prefixes in (("hostNetwork", _NET), ("hostIPC", _IPC)):
            if spec.get(field) and plain.startswith(prefixes):
                detail = f"may not be specified when '{field}' is true"
                causes.append(names.invalid(where, name, detail))
    return causes


def _profiles(context: Body, path: str) -> list[Cause]:
    causes: list[Cause] = []
    if (profile := context.get("seccompProfile")) is not None:
        causes += _profile(profile, f"{path}.seccompProfile", "seccomp")
    if (profile := context.get("appArmorProfile")) is not None:
        causes += _profile(profile, f"{path}.appArmorProfile", "AppArmor")
    return causes


def _profile(profile: Body, path: str, word: str) -> list[Cause]:
    type_, local = profile.get("type", ""), profile.get("localhostProfile")
    where = f"{path}.localhostProfile"
    if not type_:
        member = path.rpartition(".")[2]
        return [names.required(f"{path}.type", f"type is required when {member} is set")]
    if type_ not in _PROFILES:
        return [names.unsupported(f"{path}.type", type_, _PROFILES)]
    if type_ != "Localhost":
        detail = f"can only be set when {word} type is Localhost"
        return [] if local is None else [names.invalid(where, local, detail)]
    if not local or not local.strip():
        return [names.required(where, f"must be set when {word} type is Localhost")]
    return _local_profile(local, where, word)


def _local_profile(local: str, where: str, word: str) -> list[Cause]:
    if word == "AppArmor":
        causes = []
        if local != local.strip():
            causes.append(names.invalid(where, local, "must not be padded with whitespace"))
        if len(local) > _PROFILE_BYTES_MAX:
            causes.append(names.too_long(where, _PROFILE_BYTES_MAX))
        return causes
    if local.startswith("/"):
        return [names.invalid(where, local, "must be a relative path")]
    if ".." in local.split("/"):
        return [names.invalid(where, local, "must not contain '..'")]
    return []


def check_os(spec: Body, path: str) -> list[Cause]:
    """``spec.os`` and what does not go with it."""
    name = spec["os"].get("name", "")
    if not name:
        return [names.required(f"{path}.os.name", "cannot be empty")]
    if name not in ("linux", "windows"):
        return [names.unsupported(f"{path}.os", name, ("linux", "windows"))]
    contexts = [(f"{path}.securityContext", spec.get("securityContext") or {})]
    for member in ("initContainers", "containers", "ephemeralContainers"):
        contexts += [
            (f"{path}.{member}[{index}].securityContext", container.get("securityContext") or {})
            for index, container in enumerate(spec.get(member) or ())
        ]
    if name == "linux":
        return [
            names.forbidden(f"{where}.windowsOptions", _WINDOWS)
            for where, context in contexts
            if context.get("windowsOptions") is not None
        ]
    detail = "cannot be set for a windows pod"
    causes = [
        names.forbidden(f"{path}.{field}", detail)
        for field in ("hostUsers", "hostPID", "hostIPC", "shareProcessNamespace")
        if spec.get(field)
    ]
    causes += [
        names.forbidden(f"{where}.{field}", detail)
        for where, context in contexts
        for field in context
        if field not in {"windowsOptions", "runAsNonRoot"} and context[field] not in (None, [])
    ]
    return causes
