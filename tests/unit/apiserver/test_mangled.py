"""Whatever a body says, it is stored or refused; nothing else happens."""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.registry import DEFAULT, deployment, pod, read

from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.requests import DeleteOptions, Patch, Target
from pilothouse.services.machinery.errors import ApiError, InternalError

KINDS = [kind for kind in builtin_catalog().all() if kind.persistent]

EVERYTHING: dict[str, Any] = {
    "pods": pod(
        volumes=[{"name": "v", "secret": {"secretName": "s"}}, {"name": "w", "emptyDir": {}}],
        tolerations=[{"key": "a", "operator": "Exists"}],
        initContainers=[{"name": "i", "image": "x", "volumeMounts": [{"name": "v",
                         "mountPath": "/v"}]}],
        securityContext={"runAsUser": 1},
        affinity={"nodeAffinity": {}},
    ),
    "deployments": deployment(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}),
    "services": {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "selector": {"a": "b"},
                 "ports": [{"port": 80, "targetPort": "http", "nodePort": 30001, "name": "x"}],
                 "sessionAffinity": "ClientIP", "clusterIP": "10.96.0.9"}},
    "cronjobs": {"metadata": {"name": "c"}, "spec": {"schedule": "* * * * *", "jobTemplate": {
                 "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [
                 {"name": "c", "image": "x"}]}}}}}},
    "endpointslices": {"metadata": {"name": "e"}, "addressType": "IPv4", "endpoints": [
                       {"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
                       "ports": [{"port": 80}]},
    "secrets": {"metadata": {"name": "s"}, "data": {"a": "Yg=="}, "stringData": {"c": "d"}},
    "rolebindings": {"metadata": {"name": "r"}, "roleRef": {"kind": "Role", "name": "x"},
                     "subjects": [{"kind": "User", "name": "u"}]},
}  # fmt: skip

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 70000), st.floats(allow_nan=False), st.just(""),
    st.sampled_from(["x", "..", "a/b", "10", "-1", "1Gi", "%", "é", "ClusterIP", "Always",
                     "x" * 300]),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["a", "name"]), inner)
    ),
    max_leaves=3,
)


def places(document, path=()):
    """The path of every member and element."""
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for step, value in pairs:
        yield (*path, step)
        if isinstance(value, dict | list):
            yield from places(value, (*path, step))


def put(document, path, value):
    for step in path[:-1]:
        document = document[step]
    document[path[-1]] = value


@st.composite
def mangled(draw):
    plural = draw(st.sampled_from(sorted(EVERYTHING)))
    body = copy.deepcopy(EVERYTHING[plural])
    place = draw(st.sampled_from(list(places(body))))
    put(body, place, draw(values))
    return plural, body


def target_of(plural, name=""):
    kind = next(kind for kind in KINDS if kind.plural == plural)
    return Target(kind.group, kind.version, plural, "default" if kind.namespaced else "", name)


@given(mangled())
@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_a_mangled_body_is_stored_or_refused(client, drawn):
    plural, body = drawn
    registry = client.registry
    try:
        made = read((await registry.create(client.user, target_of(plural), body, DEFAULT)).object)
    except InternalError:
        raise
    except ApiError:
        return
    place = target_of(plural, made["metadata"]["name"])
    await registry.delete(client.user, place, DeleteOptions(grace_period_seconds=0))


@given(mangled())
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_a_mangled_patch_is_stored_or_refused(client, drawn):
    plural, patch = drawn
    registry = client.registry
    body = copy.deepcopy(EVERYTHING[plural])
    made = read((await registry.create(client.user, target_of(plural), body, DEFAULT)).object)
    place = target_of(plural, made["metadata"]["name"])
    for kind in ("merge", "strategic"):
        try:
            await registry.patch(client.user, place, Patch(kind, copy.deepcopy(patch)), DEFAULT)
        except InternalError:
            raise
        except ApiError:
            continue
    patch_away = Patch("merge", {"metadata": {"finalizers": None}})
    await registry.patch(client.user, place, patch_away, DEFAULT)
    await registry.delete(client.user, place, DeleteOptions(grace_period_seconds=0))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.qualified)
@pytest.mark.parametrize("content", [{}, {"spec": {}}, {"spec": None}, {"spec": {"template": {}}}])
async def test_the_least_that_can_be_said_of_each_kind(client, kind, content):
    target = Target(kind.group, kind.version, kind.plural, "default" if kind.namespaced else "")
    body = {"metadata": {"name": "least"}, **copy.deepcopy(content)}
    try:
        written = await client.registry.create(client.user, target, body, DEFAULT)
    except InternalError:
        raise
    except ApiError:
        return
    place = Target(kind.group, kind.version, kind.plural, target.namespace, "least")
    patch = Patch("merge", {"metadata": {"labels": {"a": "b"}}})
    patched = await client.registry.patch(client.user, place, patch, DEFAULT)
    assert read(patched.object)["metadata"]["uid"] == read(written.object)["metadata"]["uid"]
    if "status" in kind.subresources:
        status = Target(*(getattr(place, field) for field in place.__slots__[:5]), "status")
        await client.registry.patch(client.user, status, Patch("merge", {"status": {}}), DEFAULT)
