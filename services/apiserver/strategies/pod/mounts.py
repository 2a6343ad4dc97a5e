"""Rules of how containers mount volumes, or see them as devices."""

from collections.abc import Iterable, Mapping

from pilothouse.services.apiserver.strategies.pod.volume_paths import (
    check_local_path,
    check_no_backsteps,
)
from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

_PROPAGATION = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE = ("Disabled", "Enabled", "IfPossible")


def check_mounts(
    mounts: Iterable[Body], container: Body, volumes: Mapping[str, Body], path: str
) -> list[Cause]:
    """``volumeMounts``."""
    causes: list[Cause] = []
    seen: set[str] = set()
    devices = container.get("volumeDevices") or ()
    for index, mount in enumerate(mounts):
        where = f"{path}[{index}]"
        name, target = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            causes.append(names.required(f"{where}.name"))
        if name not in volumes:
            causes.append(names.not_found(f"{where}.name", name))
        if not target:
            causes.append(names.required(f"{where}.mountPath"))
        if target in seen:
            causes.append(names.invalid(f"{where}.mountPath", target, "must be unique"))
        seen.add(target)
        for device in devices:
            causes += _beside_device(mount, device, where)
        if len(mount) > 2:  # noqa: PLR2004 - a plain mount says only name and path
            causes += _details(mount, container, path, where)
    return causes


def _beside_device(mount: Body, device: Body, where: str) -> list[Cause]:
    causes = []
    if device.get("name") == mount.get("name"):
        detail = "must not already exist in volumeDevices"
        causes.append(names.invalid(f"{where}.name", mount.get("name", ""), detail))
    if device.get("devicePath") == mount.get("mountPath"):
        detail = "must not already exist as a path in volumeDevices"
        causes.append(names.invalid(f"{where}.mountPath", mount.get("mountPath", ""), detail))
    return causes


def _details(mount: Body, container: Body, path: str, where: str) -> list[Cause]:
    causes: list[Cause] = []
    sub_path, expression = mount.get("subPath", ""), mount.get("subPathExpr", "")
    if sub_path:
        causes += check_local_path(sub_path, f"{path}.subPath")
    if expression:
        if sub_path:
            detail = "subPathExpr and subPath are mutually exclusive"
            causes.append(names.invalid(f"{where}.subPathExpr", expression, detail))
        causes += check_local_path(expression, f"{path}.subPathExpr")
    propagation = mount.get("mountPropagation")
    if propagation is not None:
        causes += _propagation(propagation, container, f"{path}.mountPropagation")
    recursive = mount.get("recursiveReadOnly")
    if recursive is not None:
        causes += _read_only(recursive, mount, f"{path}.recursiveReadOnly")
    return causes


def _propagation(mode: str, container: Body, field: str) -> list[Cause]:
    if mode not in _PROPAGATION:
        return [names.unsupported(field, mode, _PROPAGATION)]
    if mode == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        detail = "Bidirectional mount propagation is available only to privileged containers"
        return [names.forbidden(field, detail)]
    return []


def _read_only(mode: str, mount: Body, field: str) -> list[Cause]:
    if mode not in _RECURSIVE:
        return [names.unsupported(field, mode, _RECURSIVE)]
    if mode == "Disabled":
        return []
    causes = []
    if not mount.get("readOnly"):
        causes.append(names.forbidden(field, "may only be specified when readOnly is true"))
    if mount.get("mountPropagation") not in (None, "None"):
        detail = "may only be specified when mountPropagation is None or not specified"
        causes.append(names.forbidden(field, detail))
    return causes


def check_devices(
    devices: Iterable[Body], container: Body, volumes: Mapping[str, Body], path: str
) -> list[Cause]:
    """``volumeDevices``."""
    causes: list[Cause] = []
    mounts = container.get("volumeMounts") or ()
    mounted = {mount.get("name") for mount in mounts}
    targets = {mount.get("mountPath") for mount in mounts}
    seen: set[str] = set()
    paths: set[str] = set()
    for index, device in enumerate(devices):
        where = f"{path}[{index}]"
        name, target = device.get("name", ""), device.get("devicePath", "")
        causes += _device(name, target, volumes, where)
        if name in seen:
            causes.append(names.invalid(f"{where}.name", name, "must be unique"))
        if target in paths:
            causes.append(names.invalid(f"{where}.devicePath", target, "must be unique"))
        if name in mounted:
            detail = "must not already exist in volumeMounts"
            causes.append(names.invalid(f"{where}.name", name, detail))
        if target in targets:
            detail = "must not already exist as a path in volumeMounts"
            causes.append(names.invalid(f"{where}.devicePath", target, detail))
        seen.add(name)
        paths.add(target)
    return causes


def _device(name: str, target: str, volumes: Mapping[str, Body], where: str) -> list[Cause]:
    causes: list[Cause] = []
    if not name:
        causes.append(names.required(f"{where}.name"))
    volume = volumes.get(name)
    if volume is None:
        causes.append(names.not_found(f"{where}.name", name))
    elif not volume.get("persistentVolumeClaim") and not volume.get("ephemeral"):
        detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block "
        causes.append(names.invalid(f"{where}.name", name, detail + "mode"))
    if not target:
        causes.append(names.required(f"{where}.devicePath"))
    elif check_no_backsteps(target, where):
        detail = "can not contain backsteps ('..')"
        causes.append(names.invalid(f"{where}.devicePath", target, detail))
    return causes
