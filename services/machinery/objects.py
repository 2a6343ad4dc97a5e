"""What all objects have: a key, metadata, owners."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from typing_extensions import override

from pilothouse.services.machinery.resources import Resource


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Namespace (empty for cluster-scoped kinds) and name."""

    namespace: str
    name: str

    @override
    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class View(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Base of all views: immutable, unknown fields are passed over."""


class OwnerReference(View, frozen=True, kw_only=True):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False


class Metadata(View, frozen=True, kw_only=True):
    """The part of ``metadata`` that decisions use; times are RFC 3339 text."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)

    @property
    def deleting(self) -> bool:
        return self.deletion_timestamp is not None


class Object(View, frozen=True, kw_only=True):
    """Any object: just its metadata."""

    metadata: Metadata = Metadata()


class Viewed(Protocol):
    """Anything that has metadata."""

    @property
    def metadata(self) -> Metadata: ...


def controller_of(metadata: Metadata) -> OwnerReference | None:
    """The one owner that manages this object, if any."""
    return next((owner for owner in metadata.owner_references if owner.controller), None)


def owner_reference(resource: Resource, owner: Metadata) -> dict[str, Any]:
    """The reference that a controller writes into what it creates for ``owner``."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owned_by(uid: str, candidates: Iterable[Viewed]) -> list[Viewed]:
    """Those whose controller has this uid."""
    return [
        item
        for item in candidates
        if (owner := controller_of(item.metadata)) is not None and owner.uid == uid
    ]


def merged(*layers: Mapping[str, str]) -> dict[str, str]:
    """One mapping of all, later layers winning."""
    result: dict[str, str] = {}
    for layer in layers:
        result.update(layer)
    return result
