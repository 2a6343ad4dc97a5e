"""Autoscalers of v1 carry in annotations what only v2 can say."""

import copy
import json
from dataclasses import replace

import pytest
from kit.registry import read

from pilothouse.services.apiserver.objects import autoscaling
from pilothouse.services.apiserver.requests import WriteOptions
from pilothouse.services.apiserver.rest.tables import workloads
from pilothouse.services.machinery.errors import BadRequest, NotFound

PREFIX = "autoscaling.alpha.kubernetes.io/"
REF = {"kind": "Deployment", "name": "d"}
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {
    "type": "Utilization", "averageUtilization": 50}}}  # fmt: skip
METRICS = [
    {"type": "Resource", "resource": {"name": "memory", "target": {
        "type": "AverageValue", "averageValue": "1Gi"}}},
    {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c", "target": {
        "type": "Utilization", "averageUtilization": 10}}},
    {"type": "Pods", "pods": {"metric": {"name": "m", "selector": {"matchLabels": {"a": "b"}}},
                              "target": {"type": "AverageValue", "averageValue": "1"}}},
    {"type": "Object", "object": {"describedObject": REF, "metric": {"name": "m"},
                                  "target": {"type": "Value", "value": "2"}}},
    {"type": "External", "external": {"metric": {"name": "m", "selector": {}},
                                      "target": {"type": "AverageValue", "averageValue": "3"}}},
]  # fmt: skip
BEHAVIOR = {"scaleUp": {"selectPolicy": "Max", "stabilizationWindowSeconds": 0, "policies": [
    {"type": "Pods", "value": 4, "periodSeconds": 15}]}}  # fmt: skip
V2 = {
    "metadata": {"name": "h", "annotations": {"mine": "1"}},
    "spec": {"maxReplicas": 3, "scaleTargetRef": REF, "metrics": [CPU, *METRICS],
             "behavior": BEHAVIOR},
    "status": {
        "desiredReplicas": 1, "currentReplicas": 1,
        "conditions": [{"type": "AbleToScale", "status": "True"}],
        "currentMetrics": [{"type": "Resource", "resource": {
            "name": "cpu", "current": {"averageUtilization": 7, "averageValue": "70m"}}}],
    },
}  # fmt: skip


def test_nothing_is_lost_on_the_way_through_v1():
    shown = autoscaling.down(copy.deepcopy(V2))
    assert shown["spec"] == {
        "maxReplicas": 3, "scaleTargetRef": REF, "targetCPUUtilizationPercentage": 50
    }  # fmt: skip
    assert shown["status"] == {
        "currentReplicas": 1, "desiredReplicas": 1, "currentCPUUtilizationPercentage": 7
    }  # fmt: skip
    assert autoscaling.up(shown) == V2


def test_the_words_of_the_annotations():
    marks = autoscaling.down(copy.deepcopy(V2))["metadata"]["annotations"]
    metrics = json.loads(marks[f"{PREFIX}metrics"])
    assert metrics[0] == {
        "type": "Resource", "resource": {"name": "memory", "targetAverageValue": "1Gi"}
    }  # fmt: skip
    assert metrics[3]["object"] == {"target": REF, "metricName": "m", "targetValue": "2"}
    assert json.loads(marks[f"{PREFIX}behavior"])["ScaleUp"]["Policies"] == [
        {"Type": "Pods", "Value": 4, "PeriodSeconds": 15}
    ]
    assert json.loads(marks[f"{PREFIX}current-metrics"]) == [
        {"type": "Resource", "resource": {
            "name": "cpu", "currentAverageUtilization": 7, "currentAverageValue": "70m"}}
    ]  # fmt: skip


def test_nonsense_in_annotations_is_passed_over():
    for text in ("", "{", "{}", '"x"', "[1]", '[{"type":"Resource","resource":3}]'):
        body = {"metadata": {"name": "h", "annotations": {f"{PREFIX}metrics": text}},
                "spec": {"maxReplicas": 1}}  # fmt: skip
        assert autoscaling.up(body)["metadata"] == {"name": "h"}


async def test_an_autoscaler_through_both_versions(client):
    await client.create("autoscaling/horizontalpodautoscalers", copy.deepcopy(V2))
    one = replace(client.target("autoscaling/horizontalpodautoscalers", "h"), version="v1")
    body = read(await client.registry.get(client.user, one))
    assert body["spec"]["targetCPUUtilizationPercentage"] == 50
    body["spec"]["maxReplicas"] = 5
    await client.registry.update(client.user, one, body, WriteOptions())
    stored = await client.get("autoscaling/horizontalpodautoscalers", "h")
    assert stored["spec"]["metrics"] == V2["spec"]["metrics"]
    assert stored["spec"]["maxReplicas"] == 5
    assert stored["metadata"]["annotations"] == {"mine": "1"}
    wrong = '[{"type":"Pods","pods":{"metricName":3}}]'
    body["metadata"]["annotations"] = {f"{PREFIX}metrics": wrong}
    del body["metadata"]["resourceVersion"]
    with pytest.raises(BadRequest, match="cannot unmarshal number"):
        await client.registry.update(client.user, one, body, WriteOptions())


def targets(*metrics, **spec):
    table = {column.name: column for column in workloads.HORIZONTAL_POD_AUTOSCALERS}
    shown = {"spec": {"metrics": list(metrics), **spec}, "status": V2["status"]}
    return table["Targets"].cell(shown, 0.0), table["MinPods"].cell(shown, 0.0)


def test_the_table_says_what_is_asked_of_which_metric():
    memory, container, pods, thing, outside = METRICS
    assert targets(CPU, memory, pods) == (
        "cpu: 7%/50%, memory: <unknown>/1Gi + 1 more...",
        "<unset>",
    )
    assert targets(container, pods, minReplicas=0)[0] == "cpu: <unknown>/10%, <unknown>/1"
    assert targets(thing, outside) == ("<unknown>/2, <unknown>/3 (avg)", "<unset>")
    assert targets(outside, minReplicas=0)[1] == "0"


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("apps/deployments", 'deployments/scale.apps "no" not found'),
        ("apps/replicasets", 'replicasets/scale.apps "no" not found'),
        ("replicationcontrollers", 'replicationcontrollers/scale.autoscaling "no" not found'),
        ("apps/statefulsets", 'statefulsets.apps "no" not found'),
    ],
)
async def test_a_scale_that_is_not_there_is_named(client, kind, told):
    with pytest.raises(NotFound) as refused:
        await client.get(kind, "no", sub="scale")
    assert refused.value.message == told
