"""Rules of what a claim asks for, in PersistentVolumeClaims and in templates of them."""

from pilothouse.services.apiserver.strategies.quantities import check_amount
from pilothouse.services.apiserver.strategies.selectors import check_selector
from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names, quantity
from pilothouse.services.machinery.errors import Cause

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
_POSITIVE = "must be greater than zero"
_CLAIM = "PersistentVolumeClaim"


def check_access_modes(modes: list[str], field: str) -> list[Cause]:
    """Known modes; the one for a single pod stands alone."""
    causes = [
        names.unsupported(field, mode, ACCESS_MODES) for mode in modes if mode not in ACCESS_MODES
    ]
    if "ReadWriteOncePod" in modes and len(set(modes)) > 1:
        detail = "may not use ReadWriteOncePod with other access modes"
        causes.append(names.forbidden(field, detail))
    return causes


def check_claim_spec(spec: Body, path: str) -> list[Cause]:
    """The spec of a claim."""
    modes = spec.get("accessModes") or []
    causes: list[Cause] = []
    if not modes:
        detail = "at least 1 access mode is required"
        causes.append(names.required(f"{path}.accessModes", detail))
    if spec.get("selector") is not None:
        causes += check_selector(spec["selector"], f"{path}.selector")
    causes += check_access_modes(modes, f"{path}.accessModes")
    causes += _size(spec, f"{path}.resources[storage]")
    for field in ("storageClassName", "volumeAttributesClassName"):
        if spec.get(field):
            causes += names.check(names.subdomain, spec[field], f"{path}.{field}")
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        causes.append(names.unsupported(f"{path}.volumeMode", mode, VOLUME_MODES))
    for field in ("dataSource", "dataSourceRef"):
        if spec.get(field) is not None:
            causes += _data_source(spec[field], f"{path}.{field}")
    return causes + _sources_agree(spec, path)


def _size(spec: Body, field: str) -> list[Cause]:
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if size is None:
        return [names.required(field)]
    if quantity.parse(size) <= 0:
        return [names.invalid(field, str(size), _POSITIVE)]
    return check_amount("storage", size, field)


def _data_source(source: Body, path: str) -> list[Cause]:
    causes = [names.required(f"{path}.{f}") for f in ("name", "kind") if not source.get(f)]
    group = source.get("apiGroup") or ""
    if not group and source.get("kind") != _CLAIM:
        detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        causes.append(names.invalid(path, source.get("kind", ""), detail))
    if group:
        causes += names.check(names.subdomain, group, f"{path}.apiGroup")
    if source.get("namespace"):
        causes += names.check(names.label, source["namespace"], f"{path}.namespace")
    return causes


def _sources_agree(spec: Body, path: str) -> list[Cause]:
    one, two = spec.get("dataSource"), spec.get("dataSourceRef")
    if one is None or two is None:
        return []
    if two.get("namespace"):
        detail = "may not be specified when dataSourceRef.namespace is specified"
        return [names.invalid(path, f"{path}.dataSource", detail)]
    if any(one.get(field) != two.get(field) for field in ("apiGroup", "kind", "name")):
        return [names.invalid(path, f"{path}.dataSource", "must match dataSourceRef")]
    return []
