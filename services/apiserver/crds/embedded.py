"""Objects inside a custom object (``x-kubernetes-embedded-resource``): their metadata and type."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from pilothouse.services.apiserver.crds.pruning import EMBEDDED, SCALARS, Schema
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import BadRequest, Cause
from pilothouse.services.machinery.schema.report import Path, Report, Unreadable, render
from pilothouse.services.machinery.schema.walker import Walk, Walkers

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
Visit: TypeAlias = Callable[[dict[str, Any], Path], None]
Each: TypeAlias = Callable[[Any, Path, Visit], None]
"""Calls the visitor with each embedded object in a value."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """All the embedded objects of one schema."""

    each: Each
    metadata: Walk

    def coerce(self, document: Any) -> list[str]:
        """Drop what no metadata has; the paths of that. BadRequest where a type is wrong."""
        dropped: list[str] = []

        def visit(value: dict[str, Any], path: Path) -> None:
            for name in ("apiVersion", "kind"):
                if name in value and type(value[name]) is not str:
                    raise _refuse(
                        names.invalid(render((path, name)), value[name], "must be a string")
                    )
            metadata = value.get("metadata")
            if metadata is None:
                return
            report = Report()
            try:
                self.metadata(metadata, (path, "metadata"), report, "ObjectMeta")
            except Unreadable as error:
                where = render((path, "metadata"))
                raise _refuse(names.invalid(where, metadata, str(error))) from None
            dropped.extend(report.unknown)

        self.each(document, None, visit)
        return dropped

    def check(self, document: Any, causes: list[Cause]) -> None:
        """What is wrong with them."""
        self.each(document, None, lambda value, path: _check(value, path, causes))


def compile_embedded(schema: Schema, walkers: Walkers) -> Embedded | None:
    """For what is below the root; None when nothing is embedded."""
    each = _compile(schema, root=True)
    return None if each is None else Embedded(each, walkers.of(OBJECT_META, strict=False))


def _compile(schema: Schema, *, root: bool = False) -> Each | None:  # noqa: C901 - a compiled closure beside what it closes over
    if schema.get("type") in SCALARS:
        return None
    found = {name: _compile(item) for name, item in (schema.get("properties") or {}).items()}
    inner = {name: each for name, each in found.items() if each is not None}
    map_schema, items = schema.get("additionalProperties"), schema.get("items")
    values = _compile(map_schema) if isinstance(map_schema, dict) else None
    element = _compile(items) if isinstance(items, dict) else None
    own = bool(schema.get(EMBEDDED)) and not root
    if not (own or inner or values or element):
        return None

    def each(value: Any, path: Path, visit: Visit) -> None:
        if type(value) is dict:
            if own:
                visit(value, path)
            for name, one in inner.items():
                if name in value:
                    one(value[name], (path, name), visit)
            if values is not None:
                for name, item in value.items():
                    if name not in inner:
                        values(item, (path, name), visit)
        elif type(value) is list and element is not None:
            for index, item in enumerate(value):
                element(item, (path, index), visit)

    return each


def _refuse(cause: Cause) -> BadRequest:
    return BadRequest(f"{cause.field}: {cause.message}")


def _check(value: dict[str, Any], path: Path, causes: list[Cause]) -> None:
    for name in ("apiVersion", "kind"):
        where = render((path, name))
        if name not in value:
            causes.append(names.required(where))
        elif not value[name]:
            causes.append(names.invalid(where, "", "must not be empty"))
    version = value.get("apiVersion") or ""
    if version.count("/") > 1:
        detail = f"unexpected GroupVersion string: {version}"
        causes.append(names.invalid(render((path, "apiVersion")), version, detail))
    kind = value.get("kind") or ""
    if kind and (wrong := names.label_1035(kind.lower())):
        detail = f"may have mixed case, but should otherwise match: {wrong}"
        causes.append(names.invalid(render((path, "kind")), kind, detail))
    _check_metadata(value.get("metadata") or {}, (path, "metadata"), causes)


def _check_metadata(metadata: dict[str, Any], path: Path, causes: list[Cause]) -> None:
    name = metadata.get("name") or ""
    if name and (wrong := names.path_segment(name)):
        causes.append(names.invalid(render((path, "name")), name, wrong))
    causes += names.check_labels(metadata.get("labels") or {}, render((path, "labels")))
    causes += names.check_annotations(
        metadata.get("annotations") or {}, render((path, "annotations"))
    )
