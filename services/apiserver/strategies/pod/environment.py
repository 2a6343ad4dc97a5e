"""Rules of a container's environment."""

from collections.abc import Iterable

from pilothouse.services.apiserver.strategies.pod.fieldrefs import (
    ENV_FIELDS,
    check_field,
    check_resource,
)
from pilothouse.services.apiserver.strategies.pod.volume_paths import check_local_path
from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

_WRONG_NAME = (
    "a valid environment variable name must consist only of printable ASCII characters other "
    "than '='"
)
_SEVERAL = "may not have more than one field specified at a time"


def _env_name(name: str) -> str:
    if name.isascii() and name.isprintable() and "=" not in name:
        return ""
    return _WRONG_NAME


def check_env(variables: Iterable[Body], path: str) -> list[Cause]:
    """Variables one by one."""
    causes: list[Cause] = []
    for index, variable in enumerate(variables):
        name = variable.get("name", "")
        if not name:
            causes.append(names.required(f"{path}[{index}].name"))
        elif wrong := _env_name(name):
            causes.append(names.invalid(f"{path}[{index}].name", name, wrong))
        source = variable.get("valueFrom")
        if source is not None:
            causes += _source(source, variable.get("value", ""), f"{path}[{index}].valueFrom")
    return causes


def _source(source: Body, value: str, where: str) -> list[Cause]:
    causes: list[Cause] = []
    given = [name for name, item in source.items() if item is not None]
    for name in given:
        place, item = f"{where}.{name}", source[name]
        if name == "fieldRef":
            causes += check_field(item, ENV_FIELDS, place)
        elif name == "resourceFieldRef":
            causes += check_resource(item, place, file=False)
        elif name == "fileKeyRef":
            causes += _file_key(item, place)
        else:
            causes += _key(item, place)
    if not given:
        detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
        detail += "`secretKeyRef` or `fileKeyRef`"
        causes.append(names.invalid(where, "", detail))
    elif value:
        detail = "may not be specified when `value` is not empty"
        causes.append(names.invalid(where, "", detail))
    elif len(given) > 1:
        causes.append(names.invalid(where, "", _SEVERAL))
    return causes


def _key(reference: Body, where: str) -> list[Cause]:
    causes = names.check(names.subdomain, reference.get("name", ""), f"{where}.name")
    key = reference.get("key", "")
    if not key:
        return [*causes, names.required(f"{where}.key")]
    return causes + names.check(names.config_key, key, f"{where}.key")


def _file_key(reference: Body, where: str) -> list[Cause]:
    causes = [
        names.required(f"{where}.{field}")
        for field in ("volumeName", "path", "key")
        if not reference.get(field)
    ]
    return causes + check_local_path(reference.get("path", ""), f"{where}.path")


def check_env_from(sources: Iterable[Body], path: str) -> list[Cause]:
    """Whole ConfigMaps and Secrets as variables."""
    causes: list[Cause] = []
    for index, source in enumerate(sources):
        where = f"{path}[{index}]"
        prefix = source.get("prefix", "")
        if prefix and (wrong := _env_name(prefix)):
            causes.append(names.invalid(f"{where}.prefix", prefix, wrong))
        given = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
        for name in given:
            named = source[name].get("name", "")
            if not named:
                causes.append(names.required(f"{where}.{name}.name"))
            else:
                causes += names.check(names.subdomain, named, f"{where}.{name}.name")
        if not given:
            detail = "must specify one of: `configMapRef` or `secretRef`"
            causes.append(names.invalid(path, "", detail))
        elif len(given) > 1:
            causes.append(names.invalid(path, "", _SEVERAL))
    return causes
