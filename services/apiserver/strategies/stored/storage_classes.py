"""storage.k8s.io: classes, drivers, attachments and capacities."""

from pilothouse.services.apiserver.strategies.pod.volumes import check_driver
from pilothouse.services.apiserver.strategies.selectors import check_selector
from pilothouse.services.apiserver.strategies.stored.storage import check_inline_volume
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy, immutable
from pilothouse.services.machinery import names, quantity
from pilothouse.services.machinery.errors import Cause

PARAMETERS_MAX = 512
PARAMETERS_BYTES_MAX = 256 * 1024
NODE_ID_BYTES_MAX = 256
_RECLAIM = ("Delete", "Retain")
_BINDING = ("Immediate", "WaitForFirstConsumer")
_LIFECYCLE = ("Ephemeral", "Persistent")
_FS_GROUP = ("ReadWriteOnceWithFSType", "File", "None")


def _default_class(body: Body) -> None:
    if not body.get("reclaimPolicy"):
        body["reclaimPolicy"] = "Delete"
    if not body.get("volumeBindingMode"):
        body["volumeBindingMode"] = "Immediate"


def _check_class(body: Body) -> list[Cause]:
    causes = _provisioner(body.get("provisioner", ""), "provisioner")
    causes += _parameters(body.get("parameters") or {}, "parameters")
    for field, choices in (("reclaimPolicy", _RECLAIM), ("volumeBindingMode", _BINDING)):
        if body.get(field) not in choices:
            causes.append(names.unsupported(field, body.get(field, ""), choices))
    seen: list[dict[str, set[str]]] = []
    for index, term in enumerate(body.get("allowedTopologies") or ()):
        where = f"allowedTopologies[{index}]"
        causes += _topology(term, where)
        means = {
            item.get("key", ""): set(item.get("values") or ())
            for item in term.get("matchLabelExpressions") or ()
        }
        if means in seen:
            causes.append(names.duplicate(f"{where}.matchLabelExpressions", ""))
        seen.append(means)
    return causes


def _provisioner(name: str, field: str) -> list[Cause]:
    if not name:
        return [names.required(field)]
    wrong = names.qualified(name.lower())
    return [names.invalid(field, name, wrong)] if wrong else []


def _parameters(parameters: dict[str, str], field: str) -> list[Cause]:
    if len(parameters) > PARAMETERS_MAX:
        return [names.too_long(field, PARAMETERS_MAX)]
    causes = [names.invalid(field, key, "field can not be empty.") for key in parameters if not key]
    size = sum(len(key.encode()) + len(value.encode()) for key, value in parameters.items())
    if size > PARAMETERS_BYTES_MAX:
        causes.append(names.too_long(field, PARAMETERS_BYTES_MAX))
    return causes


def _topology(term: Body, path: str) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, item in enumerate(term.get("matchLabelExpressions") or ()):
        where, key = f"{path}.matchLabelExpressions[{index}]", item.get("key", "")
        values = item.get("values") or []
        if not values:
            causes.append(names.required(f"{where}.values"))
        causes += [
            names.duplicate(f"{where}.values[{number}]", value)
            for number, value in enumerate(values)
            if value in values[:number]
        ]
        causes += names.check(names.qualified, key, f"{where}.key")
        if key in seen:
            causes.append(names.duplicate(f"{where}.key", key))
        seen.add(key)
    return causes


def _check_class_update(new: Body, old: Body) -> list[Cause]:
    causes = [
        names.forbidden(field, f"updates to {field} are forbidden.")
        for field in ("parameters", "provisioner", "reclaimPolicy")
        if new.get(field) != old.get(field)
    ]
    mode = new.get("volumeBindingMode")
    return causes + immutable("volumeBindingMode", mode, mode, old.get("volumeBindingMode"))


def _default_driver(body: Body) -> None:
    spec = body.setdefault("spec", {})
    for field, value in (
        ("attachRequired", True), ("podInfoOnMount", False), ("storageCapacity", False),
        ("fsGroupPolicy", "ReadWriteOnceWithFSType"), ("volumeLifecycleModes", ["Persistent"]),
        ("requiresRepublish", False), ("seLinuxMount", False),
    ):  # fmt: skip
        spec.setdefault(field, list(value) if isinstance(value, list) else value)


def _check_driver(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = check_driver((body.get("metadata") or {}).get("name", ""), "metadata.name")
    causes += [
        names.unsupported("spec.volumeLifecycleModes", mode, _LIFECYCLE)
        for mode in spec.get("volumeLifecycleModes") or ()
        if mode not in _LIFECYCLE
    ]
    policy = spec.get("fsGroupPolicy")
    if policy is not None and policy not in _FS_GROUP:
        causes.append(names.unsupported("spec.fsGroupPolicy", policy, _FS_GROUP))
    seen: set[str] = set()
    for index, request in enumerate(spec.get("tokenRequests") or ()):
        audience = request.get("audience", "")
        if audience in seen:
            field = f"spec.tokenRequests[{index}].audience"
            causes.append(names.duplicate(field, audience))
        seen.add(audience)
    return causes


def _check_driver_update(new: Body, old: Body) -> list[Cause]:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    causes: list[Cause] = []
    for field in ("attachRequired", "volumeLifecycleModes"):
        causes += immutable(f"spec.{field}", after.get(field), after.get(field), before.get(field))
    return causes


def _check_node(body: Body) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, driver in enumerate((body.get("spec") or {}).get("drivers") or ()):
        where, name = f"spec.drivers[{index}]", driver.get("name", "")
        causes += check_driver(name, f"{where}.name")
        if name in seen:
            causes.append(names.duplicate(f"{where}.name", name))
        seen.add(name)
        node_id = driver.get("nodeID", "")
        if not node_id:
            causes.append(names.required(f"{where}.nodeID"))
        if len(node_id) > NODE_ID_BYTES_MAX:
            detail = f"must be {NODE_ID_BYTES_MAX} characters or less"
            causes.append(names.invalid(f"{where}.nodeID", node_id, detail))
        count = (driver.get("allocatable") or {}).get("count")
        causes += names.check_least(count, f"{where}.allocatable.count")
        for key in driver.get("topologyKeys") or ():
            causes += names.check(names.qualified, key, f"{where}.topologyKeys")
    return causes


def _check_capacity(body: Body) -> list[Cause]:
    causes = names.check(names.subdomain, body.get("storageClassName", ""), "storageClassName")
    for field in ("capacity", "maximumVolumeSize"):
        amount = body.get(field)
        if amount is not None and quantity.parse(amount) < 0:
            detail = "must be greater than or equal to 0"
            causes.append(names.invalid(field, str(amount), detail))
    if body.get("nodeTopology") is not None:
        causes += check_selector(body["nodeTopology"], "nodeTopology")
    return causes


def _check_capacity_update(new: Body, old: Body) -> list[Cause]:
    causes: list[Cause] = []
    for field in ("nodeTopology", "storageClassName"):
        causes += immutable(field, new.get(field), new.get(field), old.get(field))
    return causes


def _check_attachment(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    source = spec.get("source") or {}
    causes = check_driver(spec.get("attacher", ""), "spec.attacher")
    if not spec.get("nodeName"):
        causes.append(names.required("spec.nodeName"))
    else:
        causes += names.check(names.subdomain, spec["nodeName"], "spec.nodeName")
    named, inline = source.get("persistentVolumeName"), source.get("inlineVolumeSpec")
    if named is None and inline is None:
        field = "spec.source"
        detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        causes.append(names.required(field, detail))
    elif named is not None and inline is not None:
        detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        causes.append(names.forbidden("spec.source", detail))
    elif named is not None and not named:
        field = "spec.source.persistentVolumeName"
        causes.append(names.required(field, "must specify non empty persistentVolumeName"))
    elif inline is not None:
        causes += check_inline_volume(inline, "spec.source.inlineVolumeSpec")
    return causes


def _check_attachment_update(new: Body, old: Body) -> list[Cause]:
    after = new.get("spec")
    return immutable("spec", after, after, old.get("spec"))


def _check_attributes(body: Body) -> list[Cause]:
    causes = check_driver(body.get("driverName", ""), "driverName")
    parameters = body.get("parameters") or {}
    if not parameters:
        detail = "must contain at least one key/value pair"
        return [*causes, names.required("parameters", detail)]
    return causes + _parameters(parameters, "parameters")


def _check_attributes_update(new: Body, old: Body) -> list[Cause]:
    name = new.get("driverName")
    causes = immutable("driverName", name, name, old.get("driverName"))
    if new.get("parameters") != old.get("parameters"):
        causes.append(names.forbidden("parameters", "updates to parameters are forbidden."))
    return causes


BY_KIND = {
    "StorageClass": Strategy(_default_class, _check_class, _check_class_update),
    "CSIDriver": Strategy(_default_driver, _check_driver, _check_driver_update),
    "CSINode": Strategy(check=_check_node),
    "CSIStorageCapacity": Strategy(check=_check_capacity, check_update=_check_capacity_update),
    "VolumeAttachment": Strategy(check=_check_attachment, check_update=_check_attachment_update),
    "VolumeAttributesClass": Strategy(
        check=_check_attributes, check_update=_check_attributes_update
    ),
}
