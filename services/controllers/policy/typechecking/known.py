"""What expressions of policies know besides the object: the request, and its namespace."""

from collections.abc import Mapping

from pilothouse.services.machinery.cel import types
from pilothouse.services.machinery.cel.schema import Declaration, declare


def struct(name: str, fields: Mapping[str, types.Type]) -> Declaration:
    """A variable with these members."""
    return declare(types.struct(f"kubernetes.{name}", fields))


def _texts(name: str, *fields: str) -> types.Type:
    return types.struct(f"kubernetes.{name}", dict.fromkeys(fields, types.STRING))


_LISTED = types.list_of(types.STRING)
_NAMED = types.map_of(types.STRING, types.STRING)
_GROUP_KIND = _texts("GroupVersionKind", "group", "version", "kind")
_GROUP_RESOURCE = _texts("GroupVersionResource", "group", "version", "resource")
_USER = types.struct(
    "kubernetes.UserInfo",
    {
        "username": types.STRING,
        "uid": types.STRING,
        "groups": _LISTED,
        "extra": types.map_of(types.STRING, _LISTED),
    },
)
REQUEST = struct(
    "AdmissionRequest",
    {
        "kind": _GROUP_KIND,
        "resource": _GROUP_RESOURCE,
        "subResource": types.STRING,
        "requestKind": _GROUP_KIND,
        "requestResource": _GROUP_RESOURCE,
        "requestSubResource": types.STRING,
        "name": types.STRING,
        "namespace": types.STRING,
        "operation": types.STRING,
        "userInfo": _USER,
        "dryRun": types.BOOL,
        "options": types.DYN,
    },
)
_METADATA = types.struct(
    "kubernetes.NamespaceMetadata",
    {
        **dict.fromkeys(("name", "generateName", "namespace", "UID"), types.STRING),
        "resourceVersion": types.STRING,
        "labels": _NAMED,
        "annotations": _NAMED,
        "finalizers": _LISTED,
        "creationTimestamp": types.TIMESTAMP,
        "deletionTimestamp": types.TIMESTAMP,
        "deletionGracePeriodSeconds": types.INT,
        "generation": types.INT,
    },
)
_CONDITION = types.struct(
    "kubernetes.NamespaceCondition",
    {
        **dict.fromkeys(("type", "status", "reason", "message"), types.STRING),
        "lastTransitionTime": types.TIMESTAMP,
    },
)
NAMESPACE = struct(
    "Namespace",
    {
        "metadata": _METADATA,
        "spec": types.struct("kubernetes.NamespaceSpec", {"finalizers": _LISTED}),
        "status": types.struct(
            "kubernetes.NamespaceStatus",
            {"phase": types.STRING, "conditions": types.list_of(_CONDITION)},
        ),
    },
)
