"""Nobody hands out rights that he does not have, nor approves what he may not."""

import dataclasses

import pytest
from kit.registry import Client

from pilothouse.services.apiserver.chain.authorization import Authorization
from pilothouse.services.apiserver.chain.bindings import LiveBindings
from pilothouse.services.apiserver.requests import User
from pilothouse.services.machinery.errors import Forbidden, NotFound

GROUP = "rbac.authorization.k8s.io"
READ = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}
ROLES = {"verbs": ["*"], "apiGroups": [GROUP], "resources": ["roles", "rolebindings"]}


@pytest.fixture
async def clerk(registry):
    """Somebody who may write roles, and read pods, and nothing else."""
    cache = registry.parts.cache
    admin = Client(registry)
    await admin.create(f"{GROUP}/roles", {"metadata": {"name": "clerk"}, "rules": [READ, {
        **ROLES, "verbs": ["create", "get", "update", "patch"]}]})  # fmt: skip
    binding = {
        "metadata": {"name": "clerk"},
        "roleRef": {"kind": "Role", "name": "clerk"},
        "subjects": [{"kind": "User", "name": "clerk"}],
    }
    await admin.create(f"{GROUP}/rolebindings", binding)
    authorization = Authorization(cache, LiveBindings(cache))
    object.__setattr__(registry.parts, "authorizer", authorization)
    client = Client(registry)
    client.user = User("clerk", ("system:authenticated",))
    return client


def role(*rules):
    return {"metadata": {"name": "r"}, "rules": list(rules)}


async def test_a_role_of_what_one_has(clerk):
    await clerk.create(f"{GROUP}/roles", role({**READ, "verbs": ["get"]}))
    with pytest.raises(Forbidden) as refused:
        await clerk.patch(f"{GROUP}/roles", "r", {"rules": [{**READ, "verbs": ["delete"]}]})
    assert refused.value.message == (
        'roles.rbac.authorization.k8s.io "r" is forbidden: user "clerk" '
        '(groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently '
        'held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}'
    )


async def test_a_role_of_everything_is_for_those_who_have_everything(clerk):
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    with pytest.raises(Forbidden, match="not currently held"):
        await clerk.create(f"{GROUP}/roles", role(everything))


async def test_a_binding_gives_no_more_than_the_binder_has(clerk):
    await clerk.create(f"{GROUP}/roles", role({**READ, "verbs": ["get"]}))
    binding = {
        "metadata": {"name": "b"},
        "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "else"}],
    }
    await clerk.create(f"{GROUP}/rolebindings", binding)
    other = {**binding, "metadata": {"name": "c"}, "roleRef": {"kind": "Role", "name": "none"}}
    with pytest.raises(NotFound):
        await clerk.create(f"{GROUP}/rolebindings", other)


async def test_masters_give_what_they_like(clerk):
    clerk.user = dataclasses.replace(clerk.user, groups=("system:masters",))
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    await clerk.create(f"{GROUP}/roles", role(everything))
