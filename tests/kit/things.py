"""A schema with every sort of list and map."""

from pilothouse.services.machinery.fields.types import Types
from pilothouse.services.machinery.protobuf.messages import Messages

PORT = {
    "type": "object",
    "properties": {
        "port": {"type": "integer"},
        "protocol": {"type": "string", "default": "TCP"},
        "name": {"type": "string"},
    },
}
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "count": {"type": "integer"},
                "on": {"type": "boolean"},
                "text": {"type": "string"},
                "either": {"x-kubernetes-int-or-string": True},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "selector": {
                    "type": "object",
                    "x-kubernetes-map-type": "atomic",
                    "additionalProperties": {"type": "string"},
                },
                "words": {"type": "array", "items": {"type": "string"}},
                "set": {
                    "type": "array",
                    "x-kubernetes-list-type": "set",
                    "items": {"type": "string"},
                },
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port", "protocol"],
                    "items": PORT,
                },
                "items": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "properties": {
                            "name": {"type": "string"},
                            "value": {"type": "string"},
                            "more": {"type": "object", "additionalProperties": {"type": "string"}},
                        },
                    },
                },
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
        "status": {"type": "object", "properties": {"count": {"type": "integer"}}},
    },
}
META = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
DEFINITIONS = {
    "com.example.v1.Thing": SCHEMA,
    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": META,
}
THING = Types(DEFINITIONS.__getitem__, Messages("")).of_kind("com.example.v1.Thing")
