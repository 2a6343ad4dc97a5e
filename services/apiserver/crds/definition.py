"""A CustomResourceDefinition as the server needs it, and the kinds that it makes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.services.apiserver.crds import columns, versions
from pilothouse.services.apiserver.kinds.custom import Custom, PrinterColumn, ScalePaths
from pilothouse.services.apiserver.kinds.kind import Kind, Subresource
from pilothouse.services.apiserver.kinds.replicas import split
from pilothouse.services.machinery.schema.walker import Walkers

Document = dict[str, Any]

_CHANGE = ("get", "patch", "update")
_SCALE = Subresource("autoscaling", "v1", "Scale", _CHANGE)
_ANYTHING: Mapping[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}


class Names(msgspec.Struct, frozen=True, rename="camel"):
    plural: str = ""
    singular: str = ""
    kind: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


class _Column(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    type: str
    json_path: str
    format: str = ""
    description: str = ""
    priority: int = 0


class _Selectable(msgspec.Struct, frozen=True, rename="camel"):
    json_path: str


class _Scale(msgspec.Struct, frozen=True, rename="camel"):
    spec_replicas_path: str
    status_replicas_path: str
    label_selector_path: str | None = None


class _Subresources(msgspec.Struct, frozen=True):
    status: Any = None
    scale: _Scale | None = None


class _Schema(msgspec.Struct, frozen=True):
    schema: dict[str, Any] | None = msgspec.field(name="openAPIV3Schema", default=None)


class Version(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    served: bool = False
    storage: bool = False
    deprecated: bool = False
    deprecation_warning: str | None = None
    schema: _Schema | None = None
    subresources: _Subresources | None = None
    additional_printer_columns: tuple[_Column, ...] = ()
    selectable_fields: tuple[_Selectable, ...] = ()


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    group: str
    names: Names
    scope: str
    versions: tuple[Version, ...]
    preserve_unknown_fields: bool = False


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    accepted_names: Names = Names()
    conditions: tuple[Condition, ...] = ()


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    deletion_timestamp: str | None = None
    finalizers: tuple[str, ...] = ()
    annotations: dict[str, str] = {}


class Definition(msgspec.Struct, frozen=True):
    """The parts of one CustomResourceDefinition."""

    metadata: _Metadata
    spec: _Spec
    status: _Status = _Status()

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, if it is there."""
        return next((item for item in self.status.conditions if item.type == type_), None)

    def is_true(self, type_: str) -> bool:
        """Whether the condition of that type holds."""
        found = self.condition(type_)
        return found is not None and found.status == "True"

    @property
    def terminating(self) -> bool:
        """Whether nothing new may come."""
        return self.metadata.deletion_timestamp is not None or self.is_true("Terminating")


decode = msgspec.json.Decoder(Definition).decode


@dataclass(frozen=True, slots=True)
class Made:
    """The kinds of a definition: all its versions, the storage version's among them."""

    kinds: tuple[Kind, ...]
    stored: Kind
    served: tuple[Kind, ...]
    schemas: Mapping[str, Document]


def make(definition: Definition, walkers: Walkers) -> Made:
    """The kinds that a definition with one storage version means, in order of preference."""
    ordered = versions.ordered([version.name for version in definition.spec.versions])
    found = {version.name: version for version in definition.spec.versions}
    storage = next(version for version in definition.spec.versions if version.storage)
    stored = _kind(definition, storage, storage, walkers, None)
    kinds = tuple(
        stored if name == storage.name else _kind(definition, found[name], storage, walkers, stored)
        for name in ordered
    )
    served = tuple(kind for kind in kinds if found[kind.version].served)
    schemas = {kind.definition: dict(_schema(found[kind.version])) for kind in served}
    return Made(kinds, stored, served, schemas)


def _kind(
    definition: Definition,
    version: Version,
    storage: Version,
    walkers: Walkers,
    stored: Kind | None,
) -> Kind:
    spec, names = definition.spec, definition.status.accepted_names
    if not names.plural:
        names = spec.names
    subresources = version.subresources or _Subresources()
    scale = _paths(subresources.scale)
    offered: dict[str, Subresource] = {}
    if subresources.status is not None:
        offered["status"] = Subresource(spec.group, version.name, names.kind, _CHANGE)
    if scale is not None:
        offered["scale"] = _SCALE
    labels = _labels(version)
    # With it come CEL and RE2: loaded with the first definition.
    from pilothouse.services.apiserver.crds.treatment import SchemaTreatment  # noqa: PLC0415

    custom = Custom(
        treatment=SchemaTreatment(
            schema=_schema(version),
            walkers=walkers,
            scale=scale,
            preserves=spec.preserve_unknown_fields,
            same_as_stored=_schema(version) == _schema(storage),
        ),
        columns=_columns(version),
        fields={label: label for label in labels},
        paths=tuple(label for each in spec.versions for label in _labels(each)),
        has_status="status" in offered,
        scale=scale,
        warnings=_warnings(definition, version),
        terminating=definition.terminating,
    )
    return Kind(
        group=spec.group,
        version=version.name,
        plural=names.plural,
        singular=names.singular,
        kind=names.kind,
        namespaced=spec.scope == "Namespaced",
        short_names=names.short_names,
        categories=names.categories,
        subresources=offered,
        definition=definition_name(spec.group, version.name, names.kind),
        stored_as="" if stored is None else f"{spec.group}/{storage.name}",
        list_kind=names.list_kind,
        custom=custom,
        rests=stored,
    )


def definition_name(group: str, version: str, kind: str) -> str:
    """``com.example.v1.Foo`` for a Foo of example.com/v1."""
    return ".".join((*reversed(group.split(".")), version, kind))


def _schema(version: Version) -> Mapping[str, Any]:
    if version.schema is None or version.schema.schema is None:
        return _ANYTHING
    return version.schema.schema


def _paths(scale: _Scale | None) -> ScalePaths | None:
    if scale is None:
        return None
    selector = split(scale.label_selector_path) if scale.label_selector_path else ()
    return ScalePaths(split(scale.spec_replicas_path), split(scale.status_replicas_path), selector)


def _labels(version: Version) -> list[str]:
    return [item.json_path.removeprefix(".") for item in version.selectable_fields]


def _columns(version: Version) -> tuple[PrinterColumn, ...]:
    given = version.additional_printer_columns
    if not given:
        return columns.DEFAULT
    return tuple(
        PrinterColumn(
            item.name, item.type, item.json_path, item.format, item.description, item.priority
        )
        for item in given
    )


def _warnings(definition: Definition, version: Version) -> tuple[str, ...]:
    if not version.deprecated:
        return ()
    if version.deprecation_warning is not None:
        return (version.deprecation_warning,)
    group, kind = definition.spec.group, definition.spec.names.kind
    told = f"{group}/{version.name} {kind} is deprecated"
    newer = [
        item.name
        for item in definition.spec.versions
        if item.served
        and not item.deprecated
        and versions.rank(item.name) > versions.rank(version.name)
    ]
    if newer:
        told += f"; use {group}/{versions.ordered(newer)[0]} {kind}"
    return (told,)
