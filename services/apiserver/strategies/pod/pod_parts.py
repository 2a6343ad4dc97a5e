"""What of a pod's spec changes through subresources: ephemeral containers and resources."""

from typing import Any

from pilothouse.services.apiserver.strategies.differences import differences
from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause
from pilothouse.services.machinery.kinds import qos

_MIRROR = "kubernetes.io/config.mirror"
_RESIZED = ("cpu", "memory")
_EPHEMERAL = "spec.ephemeralContainers"


def take_ephemeral(new: Body, old: Body) -> Body:
    """The ephemeral containers, and nothing else of the spec."""
    spec = {**old["spec"]}
    containers = (new.get("spec") or {}).get("ephemeralContainers")
    if containers:
        spec["ephemeralContainers"] = containers
    else:
        spec.pop("ephemeralContainers", None)
    return {**old, "spec": spec}


def check_ephemeral(new: Body, old: Body) -> list[Cause]:
    """They may only be added."""
    if _MIRROR in (old["metadata"].get("annotations") or {}):
        return [names.forbidden("", "static pods do not support ephemeral containers")]
    after = {item.get("name"): item for item in new["spec"].get("ephemeralContainers") or ()}
    causes = []
    for before in old["spec"].get("ephemeralContainers") or ():
        name = before["name"]
        found = after.get(name)
        if found is None:
            detail = f'existing ephemeral containers "{name}" may not be removed\n'
            causes.append(names.forbidden(_EPHEMERAL, detail))
        elif found != before:
            told = differences(before, found)
            detail = f'existing ephemeral containers "{name}" may not be changed\n{told}'
            causes.append(names.forbidden(_EPHEMERAL, detail))
    return causes


def take_resize(new: Body, old: Body) -> Body:
    """The resources and resize policies of containers, and nothing else of the spec."""
    given = new.get("spec") or {}
    spec = {**old["spec"]}
    for field in ("containers", "initContainers"):
        before, after = spec.get(field) or [], given.get(field) or []
        if [item["name"] for item in before] != [item.get("name") for item in after]:
            spec[field] = after
            continue
        if before:
            spec[field] = [_resized(was, item) for was, item in zip(before, after, strict=True)]
    if given.get("resources") is not None:
        spec["resources"] = given["resources"]
    return {**old, "spec": spec}


def _resized(before: Body, after: Body) -> Body:
    taken: Body = {key: after[key] for key in ("resources", "resizePolicy") if key in after}
    return {**before, **taken}


def check_resize(new: Body, old: Body) -> list[Cause]:
    """Only CPU and memory of what runs as long as the pod does, within its class of service."""
    if _MIRROR in (old["metadata"].get("annotations") or {}):
        return [names.forbidden("", "static pods cannot be resized")]
    after, before = new["spec"], old["spec"]
    for field in ("containers", "initContainers"):
        have = [item.get("name") for item in after.get(field) or ()]
        if have != [item["name"] for item in before.get(field) or ()]:
            detail = f"{field} may not be renamed or reordered on resize"
            if len(have) != len(before.get(field) or ()):
                detail = f"{field} may not be added or removed on resize"
            return [names.forbidden("spec", detail)]
    causes = []
    quality = qos.of(before)
    if qos.of(after) != quality:
        detail = "Pod QOS Class may not change as a result of resizing"
        causes.append(names.invalid("spec", quality, detail))
    if after.get("resources") != before.get("resources"):
        causes.append(names.forbidden("spec.resources", "pod-level resources cannot be resized"))
    for field in ("containers", "initContainers"):
        pairs = zip(before.get(field) or (), after.get(field) or (), strict=True)
        for index, (was, now) in enumerate(pairs):
            causes += _check_container(was, now, f"spec.{field}[{index}]")
    return causes


def _check_container(was: Body, now: Body, where: str) -> list[Cause]:
    if was == now:
        return []
    is_init = "initContainers" in where
    if is_init and was.get("restartPolicy") != "Always":
        detail = "resources for non-sidecar init containers are immutable"
        return [names.forbidden("spec", detail)]
    old, new = was.get("resources") or {}, now.get("resources") or {}
    causes = [
        names.forbidden(f"{where}.resources.{field}", f"resource {field} cannot be removed")
        for field in ("limits", "requests")
        if any(
            name in (old.get(field) or {}) and name not in (new.get(field) or {})
            for name in _RESIZED
        )
    ]
    if _beside(was) != _beside(now):
        whose = "for sidecar containers " if is_init else ""
        detail = f"only cpu and memory resources {whose}are mutable"
        causes.append(names.forbidden("spec", detail))
    return causes


def _beside(container: Body) -> dict[str, Any]:
    """The container without what a resize may change."""
    resources = container.get("resources") or {}
    kept = {
        field: {name: amount for name, amount in value.items() if name not in _RESIZED}
        for field in ("limits", "requests")
        if isinstance(value := resources.get(field), dict)
    }
    others = {key: value for key, value in resources.items() if key not in ("limits", "requests")}
    kept = {field: value for field, value in kept.items() if value}
    return {**container, "resources": {**others, **kept}}
