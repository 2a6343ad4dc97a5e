"""kr8s: a client that asks the server what kinds there are."""

import kr8s
import pytest
from kr8s.objects import ConfigMap, Pod, new_class


@pytest.fixture
def api(control_plane):
    return kr8s.api(kubeconfig=str(control_plane.kubeconfig))


def test_an_object_lives(api, namespace):
    config = ConfigMap(
        {"metadata": {"name": "c", "namespace": namespace}, "data": {"a": "1"}}, api=api
    )
    config.create()
    config.label({"team": "blue"})
    config.annotate({"note": "x"})
    config.patch({"data": {"b": "2"}})
    config.refresh()
    assert config.raw["data"] == {"a": "1", "b": "2"}
    assert config.labels == {"team": "blue"}
    assert [c.name for c in api.get("configmaps", namespace=namespace, label_selector="team")] == [
        "c"
    ]
    config.delete()
    config.wait("delete", timeout=30)
    assert not config.exists()


def test_kinds_are_found_by_short_name(api, namespace):
    assert {found.name for found in api.get("ns")} >= {"default", namespace}
    assert "1.37" in "{major}.{minor}".format(**api.version())
    names = {resource["name"] for resource in api.api_resources()}
    assert {"pods", "deployments", "customresourcedefinitions"} <= names


def test_a_pod_waits_for_a_node(api, namespace):
    pod = Pod(
        {
            "metadata": {"name": "p", "namespace": namespace},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
        api=api,
    )
    pod.create()
    assert not pod.ready()
    assert pod.status.phase == "Pending"


def test_a_custom_resource(api, namespace, widgets):
    kind = new_class(kind="Widget", version="clients.example.com/v1", namespaced=True)
    widget = kind({"metadata": {"name": "w", "namespace": namespace}, "spec": {"size": 1}}, api=api)
    widget.create()
    assert widget.spec.colour == "green"
    assert [found.name for found in api.get("widgets", namespace=namespace)] == ["w"]
