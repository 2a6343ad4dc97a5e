"""Clients that nobody here wrote, on a control plane without nodes."""

import gc
import json

import pytest

WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.clients.example.com"},
    "spec": {
        "group": "clients.example.com",
        "scope": "Namespaced",
        "names": {
            "plural": "widgets",
            "singular": "widget",
            "kind": "Widget",
            "listKind": "WidgetList",
            "shortNames": ["wg"],
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["size"],
                                "properties": {
                                    "size": {"type": "integer", "minimum": 1},
                                    "colour": {"type": "string", "default": "green"},
                                },
                            },
                            "status": {
                                "type": "object",
                                "x-kubernetes-preserve-unknown-fields": True,
                            },
                        },
                    }
                },
            }
        ],
    },
}


def pytest_collection_modifyitems(items):
    # What strangers' code warns about is theirs to mend.
    for item in items:
        if "tests/clients" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(autouse=True)
def swept():
    """Sockets that clients leave open end here, where a warning of them fails nothing."""
    yield
    gc.collect()


@pytest.fixture
def namespace(control_plane_namespace):
    return control_plane_namespace


@pytest.fixture(scope="session")
def widgets(control_plane):
    """A custom resource that is served."""
    control_plane.kubectl("apply", "-f", "-", text=json.dumps(WIDGETS))
    control_plane.kubectl(
        "wait", "--for=condition=Established", "crd/widgets.clients.example.com", "--timeout=30s"
    )
    return WIDGETS
