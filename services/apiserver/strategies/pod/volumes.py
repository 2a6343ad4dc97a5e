"""Rules of a pod's volumes and their sources."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from pilothouse.services.apiserver.strategies.pod.fieldrefs import check_file
from pilothouse.services.apiserver.strategies.pod.projections import check_projected
from pilothouse.services.apiserver.strategies.pod.volume_paths import (
    check_items,
    check_local_path,
    check_mode,
    check_no_backsteps,
)
from pilothouse.services.apiserver.strategies.stored.claims import check_claim_spec
from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names, quantity
from pilothouse.services.machinery.errors import Cause

Source: TypeAlias = Callable[[Body, str], list[Cause]]

HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate",
    "Socket",
)  # fmt: skip
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_DRIVER_MAX = 63


def needs(*fields: str) -> Source:
    """A source of which these fields must be given."""

    def check(source: Body, path: str) -> list[Cause]:
        return [names.required(f"{path}.{field}") for field in fields if not source.get(field)]

    return check


def _empty_dir(source: Body, path: str) -> list[Cause]:
    limit = source.get("sizeLimit")
    if limit is None or quantity.parse(limit) >= 0:
        return []
    detail = "SizeLimit field must be a valid resource quantity"
    return [names.forbidden(f"{path}.sizeLimit", detail)]


def check_host_path(source: Body, path: str) -> list[Cause]:
    """A path of the node."""
    if not source.get("path"):
        return [names.required(f"{path}.path")]
    causes = check_no_backsteps(source["path"], f"{path}.path")
    type_ = source.get("type")
    if type_ is not None and type_ not in HOST_PATH_TYPES:
        causes.append(names.unsupported(f"{path}.type", type_, HOST_PATH_TYPES))
    return causes


def _git_repo(source: Body, path: str) -> list[Cause]:
    causes = needs("repository")(source, path)
    return causes + check_local_path(source.get("directory", ""), f"{path}.directory")


def _secret(source: Body, path: str) -> list[Cause]:
    causes = needs("secretName")(source, path)
    causes += check_mode(source.get("defaultMode"), f"{path}.defaultMode")
    return causes + check_items(source.get("items") or (), f"{path}.items")


def _config_map(source: Body, path: str) -> list[Cause]:
    causes = needs("name")(source, path)
    causes += check_mode(source.get("defaultMode"), f"{path}.defaultMode")
    return causes + check_items(source.get("items") or (), f"{path}.items")


def check_nfs(source: Body, path: str) -> list[Cause]:
    """An NFS export."""
    causes = needs("server", "path")(source, path)
    if not source.get("path", "").startswith("/"):
        detail = "must be an absolute path"
        causes.append(names.invalid(f"{path}.path", source.get("path", ""), detail))
    return causes


def _downward(source: Body, path: str) -> list[Cause]:
    causes = check_mode(source.get("defaultMode"), f"{path}.defaultMode")
    for item in source.get("items") or ():
        causes += check_file(item, path)
    return causes


def check_iscsi(source: Body, path: str) -> list[Cause]:
    """An iSCSI target."""
    causes = needs("targetPortal", "iqn")(source, path)
    iqn = source.get("iqn", "")
    if iqn and not iqn.startswith(("iqn", "eui", "naa")):
        detail = "must be valid format starting with iqn, eui, or naa"
        causes.append(names.invalid(f"{path}.iqn", iqn, detail))
    causes += names.check_range(source.get("lun", 0), 0, 255, f"{path}.lun")
    chap = source.get("chapAuthDiscovery") or source.get("chapAuthSession")
    if chap and not source.get("secretRef"):
        causes.append(names.required(f"{path}.secretRef"))
    return causes


def check_fc(source: Body, path: str) -> list[Cause]:
    """A fibre channel target."""
    field = f"{path}.targetWWNs"
    wwns, wwids = source.get("targetWWNs"), source.get("wwids")
    if not wwns and not wwids:
        detail = "must specify either targetWWNs or wwids, but not both"
        return [names.required(field, detail)]
    causes = []
    if wwns and wwids:
        detail = "targetWWNs and wwids can not be specified simultaneously"
        causes.append(names.invalid(field, wwns, detail))
    if wwns and source.get("lun") is None:
        causes.append(names.required(f"{path}.lun", "lun is required if targetWWNs is specified"))
    return causes


def check_driver(driver: str, field: str) -> list[Cause]:
    """The name of a CSI driver."""
    causes = [] if driver else [names.required(field)]
    if len(driver) > _DRIVER_MAX:
        causes.append(names.too_long(field, _DRIVER_MAX))
    wrong = names.subdomain(driver.lower())
    return [*causes, names.invalid(field, driver, wrong)] if wrong else causes


def _csi(source: Body, path: str) -> list[Cause]:
    causes = check_driver(source.get("driver", ""), f"{path}.driver")
    reference = source.get("nodePublishSecretRef")
    if reference is None:
        return causes
    if not reference.get("name"):
        return [*causes, names.required(f"{path}.nodePublishSecretRef.name")]
    return causes + names.check(names.subdomain, reference["name"], f"{path}.name")


def _ephemeral(source: Body, path: str) -> list[Cause]:
    template = source.get("volumeClaimTemplate")
    where = f"{path}.volumeClaimTemplate"
    if template is None:
        return [names.required(where)]
    metadata = template.get("metadata") or {}
    causes = names.check_annotations(
        metadata.get("annotations") or {}, f"{where}.metadata.annotations"
    )
    causes += names.check_labels(metadata.get("labels") or {}, f"{where}.metadata.labels")
    causes += [
        names.forbidden(f"{where}.metadata.{field}", "cannot be set")
        for field in metadata
        if field not in {"annotations", "labels", "creationTimestamp"}
    ]
    return causes + check_claim_spec(template.get("spec") or {}, f"{where}.spec")


def _image(source: Body, path: str) -> list[Cause]:
    causes = needs("reference")(source, path)
    policy = source.get("pullPolicy")
    if policy and policy not in _PULL_POLICIES:
        causes.append(names.unsupported(f"{path}.pullPolicy", policy, _PULL_POLICIES))
    return causes


SOURCES: dict[str, Source] = {
    "emptyDir": _empty_dir,
    "hostPath": check_host_path,
    "gitRepo": _git_repo,
    "gcePersistentDisk": needs("pdName"),
    "awsElasticBlockStore": needs("volumeID"),
    "secret": _secret,
    "nfs": check_nfs,
    "iscsi": check_iscsi,
    "glusterfs": needs("endpoints", "path"),
    "flocker": lambda source, path: [],
    "persistentVolumeClaim": needs("claimName"),
    "rbd": needs("monitors", "image"),
    "cinder": needs("volumeID"),
    "cephfs": needs("monitors"),
    "quobyte": needs("registry", "volume"),
    "downwardAPI": _downward,
    "fc": check_fc,
    "flexVolume": needs("driver"),
    "configMap": _config_map,
    "azureFile": needs("secretName", "shareName"),
    "vsphereVolume": needs("volumePath"),
    "photonPersistentDisk": needs("pdID"),
    "portworxVolume": needs("volumeID"),
    "azureDisk": needs("diskName", "diskURI"),
    "storageos": needs("volumeName"),
    "projected": check_projected,
    "scaleIO": needs("gateway", "system", "volumeName"),
    "csi": _csi,
    "ephemeral": _ephemeral,
    "image": _image,
}
"""How a source is checked; in the order in which the first of several is taken for the one."""


def check_volumes(
    volumes: Iterable[Body], path: str, pod_name: str = ""
) -> tuple[dict[str, Body], list[Cause]]:
    """The volumes that are right, by name, and what is wrong with the others."""
    found: dict[str, Body] = {}
    causes: list[Cause] = []
    volumes = list(volumes)
    made = {f"{pod_name}-{v.get('name')}" for v in volumes if pod_name and v.get("ephemeral")}
    for index, volume in enumerate(volumes):
        where, name = f"{path}[{index}]", volume.get("name", "")
        wrong = _source(volume, where)
        if not name:
            wrong.append(names.required(f"{where}.name"))
        else:
            wrong += names.check(names.label, name, f"{where}.name")
        if name in found:
            wrong.append(names.duplicate(f"{where}.name", name))
        if wrong:
            causes += wrong
        else:
            found[name] = volume
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if made and claim in made:
            field = f"{where}.persistentVolumeClaim.claimName"
            detail = "must not reference a PVC that gets created for an ephemeral volume"
            causes.append(names.invalid(field, claim, detail))
    return found, causes


def _source(volume: Body, where: str) -> list[Cause]:
    given = [name for name, value in volume.items() if name in SOURCES and value is not None]
    if len(given) == 1:
        return SOURCES[given[0]](volume[given[0]], f"{where}.{given[0]}")
    if not given:
        return [names.required(where, "must specify a volume type")]
    given.sort(key=list(SOURCES).index)
    causes = SOURCES[given[0]](volume[given[0]], f"{where}.{given[0]}")
    causes += [
        names.forbidden(f"{where}.{name}", "may not specify more than 1 volume type")
        for name in given[1:]
    ]
    return causes
