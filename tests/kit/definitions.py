"""CustomResourceDefinitions, as a test wants them."""

from typing import Any

CRON = r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$"
CRONTAB = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "cronSpec": {"type": "string", "pattern": CRON},
                "image": {"type": "string", "default": "busybox"},
                "replicas": {"type": "integer", "minimum": 1, "maximum": 10},
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string"},
                            "port": {"type": "integer", "format": "int32"},
                        },
                    },
                },
                "tags": {
                    "type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"},
                },
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
        "status": {
            "type": "object",
            "properties": {
                "replicas": {"type": "integer"},
                "labelSelector": {"type": "string"},
                "phase": {"type": "string", "enum": ["Running", "Idle"]},
            },
        },
    },
}  # fmt: skip


def version(name: str = "v1", *, schema: Any = CRONTAB, **more: Any) -> dict[str, Any]:
    """One version, served and stored unless said otherwise."""
    return {
        "name": name, "served": True, "storage": True,
        "schema": {"openAPIV3Schema": schema}, **more,
    }  # fmt: skip


def crd(
    plural: str = "crontabs",
    kind: str = "CronTab",
    group: str = "stable.example.com",
    *,
    scope: str = "Namespaced",
    versions: Any = None,
    names: Any = None,
    **spec: Any,
) -> dict[str, Any]:
    """A definition with one version."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"plural": plural, "kind": kind, **(names or {})},
            "versions": versions or [version()],
            **spec,
        },
    }


def custom(name: str = "one", **spec: Any) -> dict[str, Any]:
    """An object of the first definition."""
    return {
        "apiVersion": "stable.example.com/v1",
        "kind": "CronTab",
        "metadata": {"name": name},
        "spec": spec,
    }
