"""Rules of references to a pod's own fields and resources, in variables and in files."""

import re

from pilothouse.services.apiserver.strategies.pod.volume_paths import check_free_path, check_mode
from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names, quantity
from pilothouse.services.machinery.errors import Cause

ENV_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
    "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
FILE_FIELDS = (
    "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace",
    "metadata.uid",
)  # fmt: skip
_KNOWN = frozenset({*ENV_FIELDS, *FILE_FIELDS, "spec.restartPolicy", "spec.schedulerName",
                    "status.phase"})  # fmt: skip
_RESOURCES = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu",
    "requests.ephemeral-storage", "requests.memory",
)  # fmt: skip
_HUGE = ("requests.hugepages-", "limits.hugepages-")
_SUBSCRIPT = re.compile(r"([^\[]+)\['([^']*)'\]")
_SIZES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_SIZED = {
    "memory": "memory",
    "ephemeral-storage": "local ephemeral storage",
}


def check_field(reference: Body, allowed: tuple[str, ...], path: str) -> list[Cause]:
    """A ``fieldRef``: ``metadata.labels['app']`` and the like."""
    version, named = reference.get("apiVersion", ""), reference.get("fieldPath", "")
    for field in ("apiVersion", "fieldPath"):
        if not reference.get(field):
            return [names.required(f"{path}.{field}")]
    match = _SUBSCRIPT.fullmatch(named)
    why = ""
    if version != "v1":
        why = f"unsupported pod version: {version}"
    elif match:
        return _subscripted(match[1], match[2], path)
    elif named not in _KNOWN:
        why = f"field label not supported: {named}"
    if why:
        detail = f"error converting fieldPath: {why}"
        return [names.invalid(f"{path}.fieldPath", named, detail)]
    if named not in allowed:
        return [names.unsupported(f"{path}.fieldPath", named, allowed)]
    return []


def _subscripted(field: str, key: str, path: str) -> list[Cause]:
    if field == "metadata.annotations":
        wrong = names.qualified(key.lower())
        return [names.invalid(path, key.lower(), wrong)] if wrong else []
    if field == "metadata.labels":
        return names.check(names.qualified, key, path)
    return [names.invalid(path, field, "does not support subscript")]


def check_resource(reference: Body, path: str, *, file: bool) -> list[Cause]:
    """A ``resourceFieldRef``; in a file it must say which container it means."""
    name = reference.get("resource", "")
    causes = []
    if file and not reference.get("containerName"):
        causes.append(names.required(f"{path}.containerName"))
    elif not name:
        causes.append(names.required(f"{path}.resource"))
    elif name not in _RESOURCES and not name.startswith(_HUGE):
        causes.append(names.unsupported(f"{path}.resource", name, _RESOURCES))
    divisor = reference.get("divisor")
    if divisor is None or quantity.parse(divisor) == 0:
        return causes
    kind = name.partition(".")[2]
    field = f"{path}.divisor"
    if kind == "cpu":
        if str(divisor) not in ("1m", "1"):
            detail = "only divisor's values 1m and 1 are supported with the cpu resource"
            causes.append(names.invalid(field, name, detail))
    elif str(divisor) not in _SIZES:
        word = _SIZED.get(kind, "hugepages")
        detail = f"only divisor's values {', '.join(_SIZES)} are supported with the {word} resource"
        causes.append(names.invalid(field, name, detail))
    return causes


def check_file(item: Body, path: str) -> list[Cause]:
    """One file of a downward API volume."""
    causes = [] if item.get("path") else [names.required(f"{path}.path")]
    causes += check_free_path(item.get("path", ""), f"{path}.path")
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None:
        causes += check_field(field, FILE_FIELDS, f"{path}.fieldRef")
        if resource is not None:
            detail = "fieldRef and resourceFieldRef can not be specified simultaneously"
            causes.append(names.invalid(path, "resource", detail))
    elif resource is not None:
        causes += check_resource(resource, f"{path}.resourceFieldRef", file=True)
    else:
        causes.append(names.required(path, "one of fieldRef and resourceFieldRef is required"))
    return causes + check_mode(item.get("mode"), f"{path}.mode")
