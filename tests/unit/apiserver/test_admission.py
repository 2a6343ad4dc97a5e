"""Admission: limits, quotas, pod security, classes and protection, as the real server's plugins."""

import asyncio

import pytest
from kit.registry import deployment, pod, read

from pilothouse.services.apiserver.requests import WriteOptions
from pilothouse.services.machinery.errors import AlreadyExists, Conflict, Forbidden, Invalid


def limits(*items, name="l"):
    return {"metadata": {"name": name}, "spec": {"limits": list(items)}}


def asking(name="web", requests=None, limits_=None, **spec):
    resources = {"requests": requests or {}, "limits": limits_ or {}}
    return pod(name, containers=[{"name": "c", "image": "i", "resources": resources}], **spec)


async def quota(client, hard, used=None, name="q", **spec):
    await client.create(
        "resourcequotas", {"metadata": {"name": name}, "spec": {"hard": hard, **spec}}
    )
    used = dict.fromkeys(hard, "0") | (used or {})
    return await client.patch(
        "resourcequotas", name, {"status": {"hard": hard, "used": used}}, sub="status"
    )


async def test_a_limit_range_fills_containers_and_says_so(client):
    item = {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}}
    await client.create("limitranges", limits(item))
    made = await client.create("pods", pod())
    assert made["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "100m"}, "limits": {"cpu": "500m"},
    }  # fmt: skip
    note = made["metadata"]["annotations"]["kubernetes.io/limit-ranger"]
    assert note == (
        "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
    )
    assert made["status"]["qosClass"] == "Burstable"


@pytest.mark.parametrize(
    ("item", "requests", "limits_", "told"),
    [
        ({"min": {"cpu": "100m"}}, {"cpu": "50m"}, {"cpu": "200m"},
         "minimum cpu usage per Container is 100m, but request is 50m"),
        ({"max": {"memory": "1Gi"}}, {}, {"memory": "2Gi"},
         "maximum memory usage per Container is 1Gi, but limit is 2Gi"),
        ({"maxLimitRequestRatio": {"cpu": "2"}}, {"cpu": "1"}, {"cpu": "3"},
         "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"),
    ],
)  # fmt: skip
async def test_a_container_out_of_bounds_is_refused(client, item, requests, limits_, told):
    await client.create("limitranges", limits({"type": "Container", **item}))
    with pytest.raises(Forbidden) as refused:
        await client.create("pods", asking(requests=requests, limits_=limits_))
    assert told in refused.value.message
    assert refused.value.message.startswith('pods "web" is forbidden: ')


async def test_a_pod_is_bounded_by_the_sum_of_its_containers(client):
    await client.create("limitranges", limits({"type": "Pod", "max": {"cpu": "1"}}))
    with pytest.raises(Forbidden, match="maximum cpu usage per Pod is 1, but limit is 1200m"):
        await client.create("pods", asking(limits_={"cpu": "1200m"}))


async def test_a_quota_counts_and_refuses(client):
    await quota(client, {"pods": "1"})
    await client.create("pods", pod())
    with pytest.raises(Forbidden) as refused:
        await client.create("pods", pod("two"))
    assert refused.value.message == (
        'pods "two" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, '
        "limited: pods=1"
    )
    assert (await client.get("resourcequotas", "q"))["status"]["used"] == {"pods": "1"}


async def test_many_at_once_do_not_pass_a_quota(client):
    await quota(client, {"count/configmaps": "5"})

    async def make(number):
        try:
            await client.create("configmaps", {"metadata": {"name": f"c{number}"}})
        except Forbidden:
            return False
        return True

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(make(number)) for number in range(7)]
    assert sum(task.result() for task in tasks) <= 5
    used = (await client.get("resourcequotas", "q"))["status"]["used"]["count/configmaps"]
    assert used == str(sum(task.result() for task in tasks))


async def test_what_was_charged_for_nothing_is_given_back(client):
    await client.create("configmaps", {"metadata": {"name": "c"}})
    await quota(client, {"configmaps": "5"}, {"configmaps": "1"})
    with pytest.raises(AlreadyExists):
        await client.create("configmaps", {"metadata": {"name": "c"}})
    assert (await client.get("resourcequotas", "q"))["status"]["used"]["configmaps"] == "1"


async def test_a_charge_is_a_revision_of_the_quota_like_any_other(client):
    await quota(client, {"pods": "2"})
    before = await client.get("resourcequotas", "q")
    await client.create("pods", pod())
    charged = (await client.list("resourcequotas")).items[0]
    assert charged.json.count(b'"resourceVersion"') == 1
    assert read(charged)["metadata"]["resourceVersion"] == str(charged.revision)
    with pytest.raises(Conflict):
        await client.update("resourcequotas", "q", before, sub="status")


async def test_a_quota_of_cpu_wants_every_container_to_say_how_much(client):
    await quota(client, {"requests.cpu": "1", "limits.cpu": "2"})
    told = r"failed quota: q: must specify limits\.cpu for: c; requests\.cpu for: c"
    with pytest.raises(Forbidden, match=told):
        await client.create("pods", pod())
    await client.create("pods", asking(requests={"cpu": "600m"}, limits_={"cpu": "1"}))
    with pytest.raises(Forbidden, match=r"requested: requests.cpu=600m, used: requests.cpu=600m"):
        await client.create("pods", asking("two", {"cpu": "600m"}, {"cpu": "1"}))


async def test_a_quota_that_nobody_has_reckoned_yet_refuses(client):
    await client.create(
        "resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}}
    )
    with pytest.raises(Forbidden, match="status unknown for quota: q, resources: pods"):
        await client.create("pods", pod())


async def test_scopes_choose_pods(client):
    await quota(client, {"pods": "0"}, scopes=["BestEffort"])
    await client.create("pods", asking(requests={"cpu": "1"}))
    with pytest.raises(Forbidden, match="exceeded quota"):
        await client.create("pods", pod("free"))


async def test_a_dry_run_is_judged_and_not_charged(client):
    await quota(client, {"pods": "1"})
    await client.create("pods", pod(), options=WriteOptions(dry_run=True))
    assert (await client.get("resourcequotas", "q"))["status"]["used"] == {"pods": "0"}


async def test_services_are_charged_for_node_ports_when_they_become_open(client):
    await quota(client, {"services": "2", "services.nodeports": "0"})
    await client.create("services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    with pytest.raises(Forbidden, match=r"services\.nodeports=1"):
        await client.patch("services", "s", {"spec": {"type": "NodePort"}})


async def test_a_claim_that_comes_under_a_quota_is_charged_for_all_of_it(client):
    gold = {"scopeName": "VolumeAttributesClass", "operator": "In", "values": ["gold"]}
    await quota(
        client,
        {"persistentvolumeclaims": "1", "requests.storage": "5Gi"},
        scopeSelector={"matchExpressions": [gold]},
    )
    asked = {"requests": {"storage": "3Gi"}}
    for name in ("one", "two"):
        spec = {"accessModes": ["ReadWriteOnce"], "resources": asked, "volumeName": f"v-{name}"}
        body = {"metadata": {"name": name}, "spec": spec}
        await client.create("persistentvolumeclaims", body)
        bound = {"status": {"phase": "Bound"}}
        await client.patch("persistentvolumeclaims", name, bound, sub="status")
    move = {"spec": {"volumeAttributesClassName": "gold"}}
    await client.patch("persistentvolumeclaims", "one", {"metadata": {"labels": {"a": "b"}}})
    used = (await client.get("resourcequotas", "q"))["status"]["used"]
    assert used == {"persistentvolumeclaims": "0", "requests.storage": "0"}
    await client.patch("persistentvolumeclaims", "one", move)
    used = (await client.get("resourcequotas", "q"))["status"]["used"]
    assert used == {"persistentvolumeclaims": "1", "requests.storage": "3Gi"}
    with pytest.raises(Forbidden, match="exceeded quota: q"):
        await client.patch("persistentvolumeclaims", "two", move)


async def secure(client, name="secure", **labels):
    prefixed = {f"pod-security.kubernetes.io/{key}": value for key, value in labels.items()}
    await client.create("namespaces", {"metadata": {"name": name, "labels": prefixed}})
    await client.create("serviceaccounts", {"metadata": {"name": "default"}}, namespace=name)


async def test_a_restricted_namespace_tells_all_that_is_wrong(client):
    await secure(client, enforce="restricted")
    with pytest.raises(Forbidden) as refused:
        await client.create("pods", pod(), namespace="secure")
    assert refused.value.message == (
        'pods "web" is forbidden: violates PodSecurity "restricted:latest": '
        'allowPrivilegeEscalation != false (container "c" must set '
        "securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "
        '"c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or '
        'container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or '
        'container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
        '"Localhost")'
    )


async def test_a_restricted_pod_comes_in(client):
    await secure(client, enforce="restricted")
    context = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    containers = [{"name": "c", "image": "i", "securityContext": context}]
    await client.create("pods", pod(containers=containers), namespace="secure")
    assert client.warnings == ()


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"hostNetwork": True, "hostPID": True},
         "host namespaces (hostNetwork=true, hostPID=true)"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, 'hostPath volumes (volume "v")'),
        ({"containers": [{"name": "c", "image": "i", "securityContext": {"privileged": True}}]},
         'privileged (container "c" must not set securityContext.privileged=true)'),
        ({"containers": [{"name": "c", "image": "i",
                          "ports": [{"containerPort": 80, "hostPort": 80}]}]},
         'hostPort (container "c" uses hostPort 80)'),
        ({"containers": [{"name": "c", "image": "i",
                          "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]},
         'non-default capabilities (container "c" must not include "SYS_ADMIN" in '
         "securityContext.capabilities.add)"),
        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
         "forbidden sysctls (kernel.msgmax)"),
    ],
)  # fmt: skip
async def test_the_baseline(client, spec, told):
    await secure(client, enforce="baseline")
    with pytest.raises(Forbidden) as refused:
        await client.create("pods", pod(**spec), namespace="secure")
    assert told in refused.value.message


async def test_owners_of_pods_are_only_warned(client):
    await secure(client, enforce="baseline", warn="restricted")
    await client.create("apps/deployments", deployment(), namespace="secure")
    assert client.warnings[0].startswith('would violate PodSecurity "restricted:latest": allow')


async def test_a_stricter_namespace_names_the_pods_that_are_too_free(client):
    await secure(client)
    await client.create("pods", pod(), namespace="secure")
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    await client.patch("namespaces", "secure", {"metadata": {"labels": label}})
    assert client.warnings[0] == (
        'existing pods in namespace "secure" violate the new PodSecurity enforce level '
        '"restricted:latest"'
    )
    with pytest.raises(Invalid, match="must be one of privileged, baseline, restricted"):
        await secure(client, "odd", enforce="strict")


async def test_a_runtime_class_gives_its_overhead(client):
    body = {
        "metadata": {"name": "vm"}, "handler": "vm",
        "overhead": {"podFixed": {"cpu": "250m"}},
        "scheduling": {"nodeSelector": {"vm": "yes"}},
    }  # fmt: skip
    await client.create("node.k8s.io/runtimeclasses", body)
    made = await client.create("pods", pod(runtimeClassName="vm"))
    assert made["spec"]["overhead"] == {"cpu": "250m"}
    assert made["spec"]["nodeSelector"] == {"vm": "yes"}
    with pytest.raises(Forbidden, match='pod rejected: RuntimeClass "none" not found'):
        await client.create("pods", pod("two", runtimeClassName="none"))


async def test_there_is_one_global_default_priority(client):
    body = {"metadata": {"name": "a"}, "value": 10, "globalDefault": True}
    await client.create("scheduling.k8s.io/priorityclasses", body)
    other = {"metadata": {"name": "b"}, "value": 1, "globalDefault": True}
    with pytest.raises(Forbidden, match="Only one default can exist"):
        await client.create("scheduling.k8s.io/priorityclasses", other)


def claim(**spec):
    resources = {"requests": {"storage": "1Gi"}}
    return {
        "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources, **spec},
    }


async def test_a_claim_gets_the_default_class_and_is_protected(client):
    mark = {"storageclass.kubernetes.io/is-default-class": "true"}
    body = {"metadata": {"name": "fast", "annotations": mark}, "provisioner": "example.com/p"}
    await client.create("storage.k8s.io/storageclasses", body)
    made = await client.create("persistentvolumeclaims", claim())
    assert made["spec"]["storageClassName"] == "fast"
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    bigger = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    with pytest.raises(Invalid, match="spec is immutable after creation"):
        await client.patch("persistentvolumeclaims", "c", {"spec": {"volumeMode": "Block"}})
    with pytest.raises((Forbidden, Invalid)):
        await client.patch("persistentvolumeclaims", "c", bigger)
    await client.patch("persistentvolumeclaims", "c", {"status": {"phase": "Bound"}}, sub="status")
    with pytest.raises(Forbidden, match="storageclass that provisions the pvc must support resize"):
        await client.patch("persistentvolumeclaims", "c", bigger)
    await client.patch("storage.k8s.io/storageclasses", "fast", {"allowVolumeExpansion": True})
    await client.patch("persistentvolumeclaims", "c", bigger)


async def test_a_terminating_namespace_takes_nothing_new(client):
    await client.create("namespaces", {"metadata": {"name": "going"}})
    await client.delete("namespaces", "going")
    with pytest.raises(Forbidden) as refused:
        await client.create("configmaps", {"metadata": {"name": "c"}}, namespace="going")
    assert refused.value.causes[0].reason == "NamespaceTerminating"


async def test_a_bound_pod_carries_where_its_node_stands(client):
    zone = {"topology.kubernetes.io/zone": "z1", "other": "o"}
    await client.create("nodes", {"metadata": {"name": "n", "labels": zone}})
    await client.create("pods", pod())
    body = {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "n"}}
    await client.create("pods", body, name="web", sub="binding")
    labels = (await client.get("pods", "web"))["metadata"]["labels"]
    assert labels == {"app": "web", "topology.kubernetes.io/zone": "z1"}


async def test_system_priority_classes_stay(client):
    with pytest.raises(Forbidden, match="system priority class and cannot be deleted"):
        await client.delete("scheduling.k8s.io/priorityclasses", "system-node-critical")


async def test_what_is_wrong_is_told_before_that_a_name_is_taken(client):
    await client.create("configmaps", {"metadata": {"name": "c"}})
    with pytest.raises(AlreadyExists):
        await client.create("configmaps", {"metadata": {"name": "c"}})
    with pytest.raises(Invalid, match="a valid config key"):
        await client.create("configmaps", {"metadata": {"name": "c"}, "data": {"a b": "c"}})
