"""Which groups, versions and resources there are: aggregated and legacy discovery. Pure."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from pilothouse.services.apiserver.kinds.catalog import Catalog
from pilothouse.services.apiserver.kinds.kind import Kind, Subresource

Document: TypeAlias = dict[str, Any]
AGGREGATED_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def aggregated(catalog: Catalog, *, core: bool) -> Document:
    """``/api`` (core) or ``/apis`` in one document, as kubectl asks for it."""
    items = []
    for group, versions in catalog.groups().items():
        if (group == "") != core:
            continue
        listed = [
            {
                "version": version,
                "resources": [
                    _aggregated_resource(kind) for kind in _kinds(catalog, group, version)
                ],
                "freshness": "Current",
            }
            for version in versions
        ]
        items.append({"metadata": {"name": group, "creationTimestamp": None}, "versions": listed})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def api_versions(address: str) -> Document:
    """The legacy ``/api``; ``address`` is the ``host:port`` that clients may use."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def groups(catalog: Catalog) -> Document:
    """The legacy ``/apis``."""
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
    kinds = _kinds(catalog, group_name, version)
    if not kinds:
        return None
    listed = []
    for kind in kinds:
        listed.append(_resource(kind))
        listed += [
            _subresource(kind, name, each) for name, each in sorted(kind.subresources.items())
        ]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group_name}/{version}" if group_name else version,
        "resources": listed,
    }


def _kinds(catalog: Catalog, group_name: str, version: str) -> list[Kind]:
    return [kind for kind in catalog.all() if kind.group == group_name and kind.version == version]


def _group(name: str, versions: Iterable[str]) -> Document:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _aggregated_resource(kind: Kind) -> Document:
    resource: Document = {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": sorted(kind.verbs),
    }
    if kind.short_names:
        resource["shortNames"] = list(kind.short_names)
    if kind.categories:
        resource["categories"] = list(kind.categories)
    if kind.subresources:
        resource["subresources"] = [
            {
                "subresource": name,
                "responseKind": {"group": each.group, "version": each.version, "kind": each.kind},
                "verbs": sorted(each.verbs),
            }
            for name, each in sorted(kind.subresources.items())
        ]
    return resource


def _resource(kind: Kind) -> Document:
    resource: Document = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": sorted(kind.verbs),
    }
    if kind.short_names:
        resource["shortNames"] = list(kind.short_names)
    if kind.categories:
        resource["categories"] = list(kind.categories)
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
