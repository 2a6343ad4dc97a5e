"""The official Python client: typed, dynamic, watches."""

import datetime
import threading

import kubernetes
import pytest
from kubernetes import client, dynamic, watch
from kubernetes.client.exceptions import ApiException


@pytest.fixture(scope="module")
def api(control_plane):
    configuration = client.Configuration()
    kubernetes.config.load_kube_config(
        str(control_plane.kubeconfig), client_configuration=configuration
    )
    with client.ApiClient(configuration) as connected:
        yield connected


@pytest.fixture(scope="module")
def cluster(api):
    return dynamic.DynamicClient(api)


def deployment(name, replicas=2):
    return client.V1Deployment(
        metadata=client.V1ObjectMeta(name=name, labels={"app": name}),
        spec=client.V1DeploymentSpec(
            replicas=replicas,
            selector=client.V1LabelSelector(match_labels={"app": name}),
            template=client.V1PodTemplateSpec(
                metadata=client.V1ObjectMeta(labels={"app": name}),
                spec=client.V1PodSpec(containers=[client.V1Container(name="web", image="web:1")]),
            ),
        ),
    )


def test_typed_objects_come_back_as_they_were_given(api, namespace):
    apps = client.AppsV1Api(api)
    made = apps.create_namespaced_deployment(namespace, deployment("web"))
    assert isinstance(made.metadata.creation_timestamp, datetime.datetime)
    assert made.spec.strategy.rolling_update.max_surge == "25%"
    read = apps.read_namespaced_deployment("web", namespace)
    read.spec.replicas = 3
    # Its controller writes too: without a revision the last one wins.
    read.metadata.resource_version = None
    written = apps.replace_namespaced_deployment("web", namespace, read)
    assert written.metadata.generation == 2
    patched = apps.patch_namespaced_deployment("web", namespace, {"spec": {"paused": True}})
    assert patched.spec.paused is True
    scaled = apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 5}})
    assert scaled.spec.replicas == 5
    apps.delete_namespaced_deployment("web", namespace, propagation_policy="Foreground")
    stream = watch.Watch()
    for event in stream.stream(
        apps.list_namespaced_deployment, namespace, field_selector="metadata.name=web"
    ):
        if event["type"] == "DELETED":
            break
    with pytest.raises(ApiException) as refused:
        apps.read_namespaced_deployment("web", namespace)
    assert refused.value.status == 404


def test_an_old_read_may_not_overwrite_a_newer_write(api, namespace):
    core = client.CoreV1Api(api)
    old = core.create_namespaced_config_map(namespace, {"metadata": {"name": "a"}})
    core.patch_namespaced_config_map("a", namespace, {"data": {"who": "another"}})
    old.data = {"who": "me"}
    with pytest.raises(ApiException) as refused:
        core.replace_namespaced_config_map("a", namespace, old)
    assert refused.value.status == 409


def test_pages_make_the_whole(api, namespace):
    core = client.CoreV1Api(api)
    for number in range(25):
        core.create_namespaced_config_map(namespace, {"metadata": {"name": f"c-{number:02}"}})
    seen, token = [], None
    while True:
        page = core.list_namespaced_config_map(namespace, limit=10, _continue=token)
        seen += [item.metadata.name for item in page.items if item.metadata.name.startswith("c-")]
        token = page.metadata._continue
        if not token:
            break
    assert seen == [f"c-{number:02}" for number in range(25)]


def test_a_watch_goes_on_from_the_list(api, namespace):
    core = client.CoreV1Api(api)
    since = core.list_namespaced_secret(namespace).metadata.resource_version
    stream = watch.Watch()
    writer = threading.Thread(
        target=lambda: [
            core.create_namespaced_secret(namespace, {"metadata": {"name": "s"}}),
            core.patch_namespaced_secret("s", namespace, {"stringData": {"a": "b"}}),
            core.delete_namespaced_secret("s", namespace),
        ]
    )
    writer.start()
    kinds = []
    for event in stream.stream(
        core.list_namespaced_secret, namespace, resource_version=since, timeout_seconds=30
    ):
        kinds.append(event["type"])
        if event["type"] == "DELETED":
            stream.stop()
    writer.join()
    assert kinds == ["ADDED", "MODIFIED", "DELETED"]


def test_dynamic_finds_every_kind_by_its_name(cluster, namespace):
    jobs = cluster.resources.get(api_version="batch/v1", kind="Job")
    assert jobs.namespaced
    services = cluster.resources.get(api_version="v1", kind="Service")
    made = services.create(
        {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}},
        namespace=namespace,
    )
    assert made.spec.clusterIP.startswith("10.")
    found = services.get(namespace=namespace, label_selector="!nothing")
    assert [item.metadata.name for item in found.items] == ["web"]


def test_dynamic_applies_on_the_server_side(cluster, namespace):
    maps = cluster.resources.get(api_version="v1", kind="ConfigMap")
    wanted = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "m", "namespace": namespace},
        "data": {"a": "1", "b": "2"},
    }
    maps.server_side_apply(body=wanted, field_manager="one")
    wanted["data"] = {"a": "1"}
    left = maps.server_side_apply(body=wanted, field_manager="one")
    assert left.data.to_dict() == {"a": "1"}
    wanted["data"] = {"a": "mine"}
    with pytest.raises(ApiException) as refused:
        maps.server_side_apply(body=wanted, field_manager="two")
    assert refused.value.status == 409
    assert 'conflict with \\"one\\"' in str(refused.value.body)
    taken = maps.server_side_apply(body=wanted, field_manager="two", force_conflicts=True)
    assert taken.data.a == "mine"


def test_dynamic_knows_a_custom_resource(cluster, namespace, widgets):
    kind = cluster.resources.get(api_version="clients.example.com/v1", kind="Widget")
    body = {
        "apiVersion": "clients.example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w"},
        "spec": {"size": 3},
    }
    made = kind.create(body, namespace=namespace)
    assert made.spec.colour == "green"
    body["metadata"]["name"] = "too-small"
    body["spec"]["size"] = 0
    with pytest.raises(ApiException) as refused:
        kind.create(body, namespace=namespace)
    assert refused.value.status == 422
    assert "spec.size" in str(refused.value.body)
    merge = "application/merge-patch+json"
    kind.status.patch(
        body={"status": {"done": True}}, name="w", namespace=namespace, content_type=merge
    )
    assert kind.get(name="w", namespace=namespace).status.done is True
