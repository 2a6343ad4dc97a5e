"""The operations that are about no kind: discovery, the version, and who signs tokens. Pure."""

from collections.abc import Mapping, Sequence

from pilothouse.services.apiserver.rest.openapi.operation import (
    JSON,
    META,
    TEXT,
    Operation,
    group_words,
    tag,
)

_OK = 200
_VERSION = "io.k8s.apimachinery.pkg.version.Info"


def documents(groups: Mapping[str, Sequence[str]]) -> dict[str, list[Operation]]:
    """Operations by the document they stand in, such as ``apis`` or ``apis/apps``."""
    found = {
        "api": [_get("/api/", "getCoreAPIVersions", "core", f"{META}.APIVersions")],
        "apis": [_get("/apis/", "getAPIVersions", "apis", f"{META}.APIGroupList")],
        "version": [_json("/version/", "getCodeVersion", "version", _VERSION)],
        ".well-known/openid-configuration": [
            _json(
                "/.well-known/openid-configuration/",
                "getServiceAccountIssuerOpenIDConfiguration", "WellKnown", TEXT,
            )
        ],
        "openid/v1/jwks": [
            _json(
                "/openid/v1/jwks/", "getServiceAccountIssuerOpenIDKeyset", "openid", TEXT,
                "application/jwk-set+json",
            )
        ],
    }  # fmt: skip
    for group in groups:
        if group:
            name = f"get{group_words(group)}APIGroup"
            found[f"apis/{group}"] = [_get(f"/apis/{group}/", name, tag(group), f"{META}.APIGroup")]
    return found


def resources(group: str, version: str) -> Operation:
    """The list of a group version's resources."""
    path = f"/apis/{group}/{version}/" if group else f"/api/{version}/"
    name = f"get{group_words(group, version)}APIResources"
    return _get(path, name, tag(group, version), f"{META}.APIResourceList")


def _get(path: str, name: str, of: str, definition: str) -> Operation:
    return Operation(path, "get", name, of, "Read what is served here.", ((_OK, definition),))


def _json(path: str, name: str, of: str, definition: str, media_type: str = JSON) -> Operation:
    return Operation(
        path, "get", name, of, "Read what is served here.", ((_OK, definition),),
        produces=(media_type,),
    )  # fmt: skip
