"""``/api`` and ``/apis`` in one document each: ``APIGroupDiscoveryList`` v2. Pure."""

from typing import Any, TypeAlias

from pilothouse.services.apiserver.kinds.catalog import Catalog
from pilothouse.services.apiserver.kinds.kind import Kind, Subresource

Document: TypeAlias = dict[str, Any]

SHAPE = "APIGroupDiscoveryList"
GROUP, VERSION = "apidiscovery.k8s.io", "v2"


def content_type(media_type: str) -> str:
    """What an answer calls itself; clients compare all three parameters."""
    return f"{media_type};g={GROUP};v={VERSION};as={SHAPE}"


def groups(catalog: Catalog, *, core: bool) -> Document:
    """``/api`` (core) or ``/apis``, groups and versions in order of preference."""
    return {
        "kind": SHAPE,
        "apiVersion": f"{GROUP}/{VERSION}",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": group} if group else {},
                "versions": [_version(catalog, group, version) for version in versions],
            }
            for group, versions in catalog.groups().items()
            if (group == "") == core
        ],
    }


def _version(catalog: Catalog, group: str, version: str) -> Document:
    kinds = catalog.of_version(group, version)
    builtin = catalog.builtin(group)
    return {
        "version": version,
        "resources": [_resource(kind, builtin=builtin) for kind in kinds],
        "freshness": "Current",
    }


def _resource(kind: Kind, *, builtin: bool) -> Document:
    resource: Document = {
        "resource": kind.plural,
        "responseKind": _response_kind(kind, kind, builtin=builtin),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": kind.offered,
    }
    if kind.short_names:
        resource["shortNames"] = list(kind.short_names)
    if kind.categories:
        resource["categories"] = list(kind.categories)
    if kind.subresources:
        resource["subresources"] = [
            {
                "subresource": name,
                "responseKind": _response_kind(kind, each, builtin=builtin),
                "verbs": sorted(each.verbs),
            }
            for name, each in sorted(kind.subresources.items())
        ]
    return resource


def _response_kind(kind: Kind, spoken: Kind | Subresource, *, builtin: bool) -> Document:
    """The kind of an answer; for built-in ones, empty words mean the group version around it."""
    own = (spoken.group, spoken.version) == (kind.group, kind.version)
    group, version = ("", "") if builtin and own else (spoken.group, spoken.version)
    return {"group": group, "version": version, "kind": spoken.kind}
