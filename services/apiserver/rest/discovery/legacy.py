"""Discovery one document at a time: ``/api``, ``/apis``, a group, a group version. Pure."""

import base64
import hashlib
from collections.abc import Iterable
from typing import Any, TypeAlias

from pilothouse.services.apiserver.kinds.catalog import Catalog
from pilothouse.services.apiserver.kinds.kind import Kind, Subresource

Document: TypeAlias = dict[str, Any]
_HASH_BYTES = 8


def api_versions(address: str) -> Document:
    """``/api``; ``address`` is the ``host:port`` that clients may use."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def groups(catalog: Catalog) -> Document:
    """``/apis``."""
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [_group(name, versions) for name, versions in catalog.groups().items() if name],
    }


def group(catalog: Catalog, name: str) -> Document | None:
    """``/apis/<group>``; None when it is not served."""
    versions = catalog.groups().get(name) if name else None
    if versions is None:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def resources(catalog: Catalog, group_name: str, version: str) -> Document | None:
    """``/api/v1`` or ``/apis/<group>/<version>``; None when it is not served."""
    kinds = catalog.of_version(group_name, version)
    if not kinds:
        return None
    listed = []
    for kind in kinds:
        listed.append(_resource(kind))
        listed += [
            _subresource(kind, name, each) for name, each in sorted(kind.subresources.items())
        ]
    document: Document = {"kind": "APIResourceList"}
    if group_name:
        # The core group answers as it did before lists had versions.
        document["apiVersion"] = "v1"
    document["groupVersion"] = f"{group_name}/{version}" if group_name else version
    document["resources"] = listed
    return document


def storage_version_hash(kind: Kind) -> str:
    """What changes when objects of ``kind`` begin to rest in the shape of another version."""
    group_version = kind.stored_as or (kind.rests or kind).api_version
    if "/" not in group_version:
        group_version = f"/{group_version}"
    digest = hashlib.sha256(f"{group_version}/{kind.kind}".encode()).digest()
    return base64.b64encode(digest[:_HASH_BYTES]).decode()


def _group(name: str, versions: Iterable[str]) -> Document:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _resource(kind: Kind) -> Document:
    resource: Document = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": kind.offered,
    }
    if kind.short_names:
        resource["shortNames"] = list(kind.short_names)
    if kind.categories:
        resource["categories"] = list(kind.categories)
    if kind.persistent:
        resource["storageVersionHash"] = storage_version_hash(kind)
    return resource


def _subresource(kind: Kind, name: str, each: Subresource) -> Document:
    resource: Document = {
        "name": f"{kind.plural}/{name}",
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": each.kind,
        "verbs": sorted(each.verbs),
    }
    if (each.group, each.version) != (kind.group, kind.version):
        resource["group"] = each.group
        resource["version"] = each.version
    return resource
