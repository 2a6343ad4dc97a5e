"""Persistent volumes and the claims for them."""

import posixpath
from typing import Any

from pilothouse.services.apiserver.strategies.differences import differences
from pilothouse.services.apiserver.strategies.pod import volumes
from pilothouse.services.apiserver.strategies.pod.placement import check_node_selector
from pilothouse.services.apiserver.strategies.pod.volume_paths import check_no_backsteps
from pilothouse.services.apiserver.strategies.stored.claims import (
    VOLUME_MODES,
    check_access_modes,
    check_claim_spec,
)
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy, immutable
from pilothouse.services.machinery import names, quantity
from pilothouse.services.machinery.errors import Cause

_RECLAIM = ("Delete", "Recycle", "Retain")
_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_SECRETS = ("controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef",
            "nodeExpandSecretRef", "nodeStageSecretRef")  # fmt: skip


def _csi(source: Body, path: str) -> list[Cause]:
    causes = volumes.check_driver(source.get("driver", ""), f"{path}.driver")
    if not source.get("volumeHandle"):
        causes.append(names.required(f"{path}.volumeHandle"))
    for field in _SECRETS:
        if (reference := source.get(field)) is None:
            continue
        for member, rule in (("name", names.subdomain), ("namespace", names.label)):
            where, value = f"{path}.{field}.{member}", reference.get(member, "")
            causes += names.check(rule, value, where) if value else [names.required(where)]
    return causes


def _local(source: Body, path: str) -> list[Cause]:
    if not source.get("path"):
        return [names.required(f"{path}.path")]
    return check_no_backsteps(source["path"], f"{path}.path")


_SOURCES = {
    name: rule
    for name, rule in volumes.SOURCES.items()
    if name not in {"emptyDir", "gitRepo", "secret", "persistentVolumeClaim", "downwardAPI",
                    "configMap", "projected", "ephemeral", "image"}
} | {"local": _local, "csi": _csi}  # fmt: skip


def _default_volume(body: Body) -> None:
    spec = body.setdefault("spec", {})
    if not spec.get("persistentVolumeReclaimPolicy"):
        spec["persistentVolumeReclaimPolicy"] = "Retain"
    spec.setdefault("volumeMode", "Filesystem")
    if host_path := spec.get("hostPath"):
        host_path.setdefault("type", "")


def _check_volume(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    modes = spec.get("accessModes") or []
    causes = [] if modes else [names.required("spec.accessModes")]
    causes += check_access_modes(modes, "spec.accessModes")
    causes += _capacity(spec.get("capacity") or {})
    policy = spec.get("persistentVolumeReclaimPolicy", "Retain")
    if policy not in _RECLAIM:
        field = "spec.persistentVolumeReclaimPolicy"
        causes.append(names.unsupported(field, policy, _RECLAIM))
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        path = "spec.nodeAffinity.required"
        if affinity.get("required") is None:
            causes.append(names.required(path, "must specify required node constraints"))
        else:
            causes += check_node_selector(affinity["required"], path)
    causes += _sources(spec)
    causes += _classes(spec)
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        causes.append(names.unsupported("spec.volumeMode", mode, VOLUME_MODES))
    return causes


def check_inline_volume(spec: Body, path: str) -> list[Cause]:
    """A volume that is no PersistentVolume of the cluster: of a CSI driver, at ``path``."""
    if spec.get("csi") is None:
        return [names.required(f"{path}.csi")]
    return _csi(spec["csi"], f"{path}.csi")


def _capacity(capacity: Body) -> list[Cause]:
    causes = [] if capacity else [names.required("spec.capacity")]
    if "storage" not in capacity or len(capacity) > 1:
        causes.append(names.unsupported("spec.capacity", capacity, ("storage",)))
    for name, amount in capacity.items():
        if quantity.parse(amount) <= 0:
            field = f"spec.capacity[{name}]"
            causes.append(names.invalid(field, str(amount), "must be greater than zero"))
    return causes


def _sources(spec: Body) -> list[Cause]:
    given = [name for name in spec if name in _SOURCES and spec[name] is not None]
    if not given:
        return [names.required("spec", "must specify a volume type")]
    causes = _SOURCES[given[0]](spec[given[0]], f"spec.{given[0]}")
    causes += [
        names.forbidden(f"spec.{name}", "may not specify more than 1 volume type")
        for name in given[1:]
    ]
    if "local" in given and spec.get("nodeAffinity") is None:
        detail = "Local volume requires node affinity"
        causes.append(names.required("spec.nodeAffinity", detail))
    root = posixpath.normpath((spec.get("hostPath") or {}).get("path") or ".") == "/"
    if root and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        detail = "may not be 'recycle' for a hostPath mount of '/'"
        causes.append(names.forbidden("spec.persistentVolumeReclaimPolicy", detail))
    return causes


def _classes(spec: Body) -> list[Cause]:
    causes: list[Cause] = []
    if spec.get("storageClassName"):
        field = "spec.storageClassName"
        causes += names.check(names.subdomain, spec["storageClassName"], field)
    attributes = spec.get("volumeAttributesClassName")
    if attributes is not None:
        field = "spec.volumeAttributesClassName"
        if not attributes:
            causes.append(names.required(field, "an empty string is disallowed"))
        else:
            causes += names.check(names.subdomain, attributes, field)
        if spec.get("csi") is None:
            detail = "has to be specified when using volumeAttributesClassName"
            causes.append(names.required("spec.csi", detail))
    return causes


def _check_volume_update(new: Body, old: Body) -> list[Cause]:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    causes = []
    one, two = _source_of(before), _source_of(after)
    if "csi" in one and "csi" in two and one["csi"].get("controllerExpandSecretRef") is None:
        two["csi"] = {k: v for k, v in two["csi"].items() if k != "controllerExpandSecretRef"}
    if one != two:
        detail = f"spec.persistentvolumesource is immutable after creation\n{differences(one, two)}"
        causes.append(names.forbidden("spec.persistentvolumesource", detail))
    mode = after.get("volumeMode")
    causes += immutable("volumeMode", mode, mode, before.get("volumeMode"))
    affinity = after.get("nodeAffinity")
    if before.get("nodeAffinity") is not None and affinity != before["nodeAffinity"]:
        detail = "field is immutable, except for updating from beta label to GA"
        causes.append(names.invalid("nodeAffinity", affinity, detail))
    return causes + _attributes_update(after, before)


def _source_of(spec: Body) -> dict[str, Any]:
    return {name: spec[name] for name in _SOURCES if name in spec}


def _attributes_update(after: Body, before: Body) -> list[Cause]:
    field = "spec.volumeAttributesClassName"
    was, now = (spec.get("volumeAttributesClassName") for spec in (before, after))
    if was is None or now == was or now:
        return []
    what = "nil" if now is None else "an empty string"
    return [names.forbidden(field, f"update from non-nil value to {what} is forbidden")]


def _default_claim(body: Body) -> None:
    spec = body.setdefault("spec", {})
    spec.setdefault("volumeMode", "Filesystem")
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    # The two are one field under an old and a new name.
    if source is not None and reference is None:
        spec["dataSourceRef"] = dict(source)
    elif reference is not None and source is None and not reference.get("namespace"):
        spec["dataSource"] = {k: v for k, v in reference.items() if k != "namespace"}


def _check_claim(body: Body) -> list[Cause]:
    return check_claim_spec(body.get("spec") or {}, "spec")


def _check_claim_update(new: Body, old: Body) -> list[Cause]:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after == before:
        return []
    causes = []
    bound = (old.get("status") or {}).get("phase") == "Bound"
    munged = _claim_munged(after, before, bound=bound)
    if munged != before:
        detail = (
            "spec is immutable after creation except resources.requests and "
            f"volumeAttributesClassName for bound claims\n{differences(before, munged)}"
        )
        causes.append(names.forbidden("spec", detail))
    size, was = (((spec.get("resources") or {}).get("requests") or {}).get("storage", 0)
                 for spec in (after, before))  # fmt: skip
    capacity = ((old.get("status") or {}).get("capacity") or {}).get("storage", 0)
    if quantity.parse(size) < quantity.parse(was) and (
        quantity.parse(size) <= quantity.parse(capacity)
    ):
        field = "spec.resources.requests.storage"
        causes.append(names.forbidden(field, "field can not be less than status.capacity"))
    mode = after.get("volumeMode")
    causes += immutable("volumeMode", mode, mode, before.get("volumeMode"))
    marks = (new["metadata"].get("annotations") or {}).get(_BETA_CLASS, "")
    marked = (old["metadata"].get("annotations") or {}).get(_BETA_CLASS, "")
    causes += immutable(f"metadata.annotations.{_BETA_CLASS}", marks, marks, marked)
    return causes + _attributes_update(after, before)


def _claim_munged(after: Body, before: Body, *, bound: bool) -> Body:
    """The new spec with the old values of what may change."""
    munged = dict(after)
    if not before.get("volumeName"):
        munged.pop("volumeName", None)
        if "volumeName" in before:
            munged["volumeName"] = before["volumeName"]
    if before.get("storageClassName") is None:
        munged.pop("storageClassName", None)
    if not bound:
        return munged
    requests = (before.get("resources") or {}).get("requests") or {}
    resources = dict(munged.get("resources") or {})
    if "storage" in requests and resources.get("requests"):
        resources["requests"] = {**resources["requests"], "storage": requests["storage"]}
        munged["resources"] = resources
    if munged.get("volumeAttributesClassName") is not None:
        munged.pop("volumeAttributesClassName")
        if "volumeAttributesClassName" in before:
            munged["volumeAttributesClassName"] = before["volumeAttributesClassName"]
    return munged


PERSISTENT_VOLUME = Strategy(_default_volume, _check_volume, _check_volume_update)
PERSISTENT_VOLUME_CLAIM = Strategy(_default_claim, _check_claim, _check_claim_update)
