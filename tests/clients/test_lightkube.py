"""lightkube: httpx, generated models, server-side apply."""

import pytest
from lightkube import Client, KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.apps_v1 import DeploymentSpec
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace, Node, Service
from lightkube.types import PatchType


@pytest.fixture
def lightkube(control_plane, namespace):
    loaded = KubeConfig.from_file(str(control_plane.kubeconfig))
    return Client(config=loaded, namespace=namespace, field_manager="lightkube")


def test_models_go_both_ways(lightkube):
    wanted = Deployment(
        metadata=ObjectMeta(name="web"),
        spec=DeploymentSpec(
            replicas=1,
            selector=LabelSelector(matchLabels={"app": "web"}),
            template=PodTemplateSpec(
                metadata=ObjectMeta(labels={"app": "web"}),
                spec=PodSpec(containers=[Container(name="web", image="web")]),
            ),
        ),
    )
    made = lightkube.create(wanted)
    assert made.spec.template.spec.containers[0].imagePullPolicy == "Always"
    scale = lightkube.get(Deployment.Scale, name="web")
    scale.spec.replicas = 4
    # Its controller writes too: without a revision the last one wins.
    scale.metadata.resourceVersion = None
    lightkube.replace(scale, name="web")
    assert lightkube.get(Deployment, name="web").spec.replicas == 4
    lightkube.delete(Deployment, name="web")


def test_apply_and_the_conflict_of_two_managers(lightkube):
    wanted = ConfigMap(metadata=ObjectMeta(name="c"), data={"a": "1"})
    lightkube.apply(wanted)
    wanted.data = {"a": "2"}
    with pytest.raises(ApiError) as refused:
        lightkube.apply(wanted, field_manager="another")
    assert refused.value.status.code == 409
    assert lightkube.apply(wanted, field_manager="another", force=True).data == {"a": "2"}


def test_the_three_patches(lightkube):
    lightkube.create(
        Service.from_dict(
            {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "name": "a"}]}}
        )
    )
    added = {"spec": {"ports": [{"port": 81, "name": "b"}]}}
    merged = lightkube.patch(Service, "s", added, patch_type=PatchType.STRATEGIC)
    assert {port.port for port in merged.spec.ports} == {80, 81}
    replaced = lightkube.patch(Service, "s", added, patch_type=PatchType.MERGE)
    assert [port.port for port in replaced.spec.ports] == [81]
    steps = [{"op": "add", "path": "/metadata/labels", "value": {"x": "y"}}]
    assert lightkube.patch(Service, "s", steps, patch_type=PatchType.JSON).metadata.labels == {
        "x": "y"
    }


def test_listing_by_label_over_all_namespaces(lightkube):
    found = {item.metadata.name for item in lightkube.list(Namespace)}
    assert {"default", "kube-system", "kube-public", "kube-node-lease"} <= found
    assert list(lightkube.list(Node)) == []
    assert list(lightkube.list(ConfigMap, namespace="*", labels={"no": "such"})) == []


def test_a_custom_resource(lightkube, widgets):
    kind = create_namespaced_resource("clients.example.com", "v1", "Widget", "widgets")
    lightkube.create(kind(metadata=ObjectMeta(name="w"), spec={"size": 2}))
    assert lightkube.get(kind, name="w").spec == {"size": 2, "colour": "green"}
    changed = lightkube.apply(kind(metadata=ObjectMeta(name="v"), spec={"size": 7}))
    assert changed.metadata.generation == 1
