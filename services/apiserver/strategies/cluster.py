"""Small rules of other kinds: namespaces, nodes, leases, quotas, classes, volumes, autoscalers."""

from pilothouse.services.apiserver.strategies.strategy import Body, Strategy, immutable
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

NAMESPACE_NAME = "kubernetes.io/metadata.name"
TAINT_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")


def _default_namespace(body: Body) -> None:
    metadata = body.setdefault("metadata", {})
    if name := metadata.get("name"):
        metadata.setdefault("labels", {})[NAMESPACE_NAME] = name
    if not metadata.get("deletionTimestamp"):
        body.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    body.setdefault("status", {}).setdefault("phase", "Active")


def _check_node(body: Body) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate((body.get("spec") or {}).get("taints") or ()):
        where = f"spec.taints[{index}]"
        key, effect = taint.get("key", ""), taint.get("effect", "")
        if wrong := names.qualified(key):
            causes.append(names.invalid(f"{where}.key", key, wrong))
        if wrong := names.label_value(taint.get("value", "")):
            causes.append(names.invalid(f"{where}.value", taint["value"], wrong))
        if effect not in TAINT_EFFECTS:
            causes.append(names.unsupported(f"{where}.effect", effect, TAINT_EFFECTS))
        if (key, effect) in seen:
            causes.append(names.duplicate(where, f"{key}:{effect}"))
        seen.add((key, effect))
    return causes


def _check_node_update(new: Body, old: Body) -> list[Cause]:
    before, after = (old.get("spec") or {}), (new.get("spec") or {})
    if before.get("podCIDR") and before.get("podCIDR") != after.get("podCIDR"):
        detail = 'node updates may not change podCIDR except from "" to valid'
        return [names.forbidden("spec.podCIDRs", detail)]
    return []


def _check_lease(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        field = "spec.leaseDurationSeconds"
        return [names.invalid(field, seconds, "must be greater than 0")]
    return []


def _default_priority_class(body: Body) -> None:
    body.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _check_priority_update(new: Body, old: Body) -> list[Cause]:
    if new.get("value") == old.get("value"):
        return []
    return [names.forbidden("value", "may not be changed in an update.")]


def _default_storage_class(body: Body) -> None:
    body.setdefault("reclaimPolicy", "Delete")
    body.setdefault("volumeBindingMode", "Immediate")


def _check_storage_class_update(new: Body, old: Body) -> list[Cause]:
    return [
        names.forbidden(field, f"updates to {field} are forbidden.")
        for field in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")
        if new.get(field) != old.get(field)
    ]


def _default_volume(body: Body) -> None:
    spec = body.setdefault("spec", {})
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    spec.setdefault("volumeMode", "Filesystem")
    body.setdefault("status", {}).setdefault("phase", "Pending")


def _default_claim(body: Body) -> None:
    body.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    body.setdefault("status", {}).setdefault("phase", "Pending")


def _default_autoscaler(body: Body) -> None:
    spec = body.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)


def _check_autoscaler(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    causes = []
    if most < 1:
        causes.append(names.invalid("spec.maxReplicas", most, "must be greater than 0"))
    if most < least:
        detail = "must be greater than or equal to `minReplicas`"
        causes.append(names.invalid("spec.maxReplicas", most, detail))
    return causes


def _default_role_binding(body: Body) -> None:
    for subject in body.get("subjects") or ():
        group = "" if subject.get("kind") == "ServiceAccount" else "rbac.authorization.k8s.io"
        if group:
            subject.setdefault("apiGroup", group)
    reference = body.get("roleRef") or {}
    reference.setdefault("apiGroup", "rbac.authorization.k8s.io")


def _check_role_binding_update(new: Body, old: Body) -> list[Cause]:
    reference = new.get("roleRef")
    if reference == old.get("roleRef"):
        return []
    return [names.invalid("roleRef", reference, "cannot change roleRef")]


def _check_slice_update(new: Body, old: Body) -> list[Cause]:
    value = new.get("addressType")
    return immutable("addressType", value, value, old.get("addressType"))


NAMESPACE = Strategy(default=_default_namespace, name=names.label)
NODE = Strategy(check=_check_node, check_update=_check_node_update)
LEASE = Strategy(check=_check_lease)
PRIORITY_CLASS = Strategy(default=_default_priority_class, check_update=_check_priority_update)
STORAGE_CLASS = Strategy(default=_default_storage_class, check_update=_check_storage_class_update)
PERSISTENT_VOLUME = Strategy(default=_default_volume)
PERSISTENT_VOLUME_CLAIM = Strategy(default=_default_claim)
AUTOSCALER = Strategy(default=_default_autoscaler, check=_check_autoscaler)
ROLE = Strategy(name=names.path_segment)
ROLE_BINDING = Strategy(
    default=_default_role_binding, check_update=_check_role_binding_update, name=names.path_segment
)
ENDPOINT_SLICE = Strategy(check_update=_check_slice_update)
