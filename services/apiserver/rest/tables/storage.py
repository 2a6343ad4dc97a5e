"""The columns of volumes, claims and storage classes."""

from pilothouse.services.apiserver.rest.tables.column import (
    AGE,
    NAME,
    NONE,
    UNSET,
    Column,
    Document,
    at,
    field,
    size,
)

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _modes(modes: list[str] | None) -> str:
    held = set(modes or ())
    return ",".join(short for mode, short in _MODES.items() if mode in held)


def _phase(document: Document, now: float) -> str:
    del now
    if at(document, "metadata.deletionTimestamp"):
        return "Terminating"
    return str(at(document, "status.phase") or "")


def _claim(volume: Document, now: float) -> str:
    del now
    claim = at(volume, "spec.claimRef")
    return f"{claim.get('namespace')}/{claim.get('name')}" if claim else ""


PERSISTENT_VOLUMES = (
    NAME,
    Column("Capacity", field("spec.capacity.storage")),
    Column("Access Modes", lambda volume, now: _modes(at(volume, "spec.accessModes"))),
    Column("Reclaim Policy", field("spec.persistentVolumeReclaimPolicy")),
    Column("Status", _phase),
    Column("Claim", _claim),
    Column("StorageClass", field("spec.storageClassName")),
    Column("VolumeAttributesClass", field("spec.volumeAttributesClassName", UNSET)),
    Column("Reason", field("status.reason")),
    AGE,
    Column("VolumeMode", field("spec.volumeMode", UNSET), wide=True),
)


def _claim_capacity(claim: Document, now: float) -> str:
    del now
    bound = at(claim, "spec.volumeName")
    return str(at(claim, "status.capacity.storage") or "") if bound else ""


def _claim_modes(claim: Document, now: float) -> str:
    del now
    return _modes(at(claim, "status.accessModes")) if at(claim, "spec.volumeName") else ""


PERSISTENT_VOLUME_CLAIMS = (
    NAME,
    Column("Status", _phase),
    Column("Volume", field("spec.volumeName")),
    Column("Capacity", _claim_capacity),
    Column("Access Modes", _claim_modes),
    Column("StorageClass", field("spec.storageClassName")),
    Column("VolumeAttributesClass", field("spec.volumeAttributesClassName", UNSET)),
    AGE,
    Column("VolumeMode", field("spec.volumeMode", UNSET), wide=True),
)


def _class_name(storage_class: Document, now: float) -> str:
    del now
    annotations = at(storage_class, "metadata.annotations") or {}
    default = " (default)" if annotations.get(DEFAULT_CLASS) == "true" else ""
    return f"{at(storage_class, 'metadata.name')}{default}"


STORAGE_CLASSES = (
    Column("Name", _class_name, format="name"),
    Column("Provisioner", field("provisioner")),
    Column("ReclaimPolicy", field("reclaimPolicy", "Delete")),
    Column("VolumeBindingMode", field("volumeBindingMode", UNSET)),
    Column("AllowVolumeExpansion", field("allowVolumeExpansion", default=False), type="boolean"),
    AGE,
)
VOLUME_ATTRIBUTES_CLASSES = (NAME, Column("DriverName", field("driverName")), AGE)
VOLUME_ATTACHMENTS = (
    NAME,
    Column("Attacher", field("spec.attacher")),
    Column("PV", field("spec.source.persistentVolumeName")),
    Column("Node", field("spec.nodeName")),
    Column("Attached", field("status.attached", default=False), type="boolean"),
    AGE,
)
CSI_NODES = (NAME, Column("Drivers", size("spec.drivers"), type="integer"), AGE)


def _token_audiences(driver: Document, now: float) -> str:
    del now
    audiences = [item.get("audience", "") for item in at(driver, "spec.tokenRequests") or ()]
    return ",".join(audiences) or UNSET


CSI_DRIVERS = (
    NAME,
    Column("AttachRequired", field("spec.attachRequired", default=True), type="boolean"),
    Column("PodInfoOnMount", field("spec.podInfoOnMount", default=False), type="boolean"),
    Column("StorageCapacity", field("spec.storageCapacity", default=False), type="boolean"),
    Column("TokenRequests", _token_audiences),
    Column("RequiresRepublish", field("spec.requiresRepublish", default=False), type="boolean"),
    Column("Modes", lambda d, now: ",".join(at(d, "spec.volumeLifecycleModes") or ()) or NONE),
    AGE,
)
CSI_STORAGE_CAPACITIES = (
    NAME,
    Column("StorageClassName", field("storageClassName")),
    Column("Capacity", field("capacity", UNSET)),
)
