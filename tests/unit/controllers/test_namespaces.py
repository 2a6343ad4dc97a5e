"""Namespaces: emptied, then let go; and what each of them is given while it lives."""

import base64

import msgspec

from pilothouse.services.controllers.identity import rootca, serviceaccount, token
from pilothouse.services.controllers.identity.rootca import Write
from pilothouse.services.controllers.identity.token import Act
from pilothouse.services.controllers.namespace import namespace
from pilothouse.services.controllers.namespace.namespace import Item
from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.kinds import identity
from pilothouse.services.machinery.kinds.identity import ConfigMap, Secret, ServiceAccount
from pilothouse.services.machinery.kinds.namespaces import Namespace, Spec, Status
from pilothouse.services.machinery.objects import Metadata
from pilothouse.services.machinery.resources import CONFIG_MAPS, PODS

NOW = 1_000_000.0
GONE = "2026-01-01T00:00:00Z"
LIVING = Namespace(metadata=Metadata(name="ns"), spec=Spec(finalizers=("kubernetes",)))
LEAVING = msgspec.structs.replace(
    LIVING,
    metadata=Metadata(name="ns", deletion_timestamp=GONE),
    status=Status(phase="Terminating"),
)
BARE = Item(CONFIG_MAPS, Metadata(name="a", namespace="ns"))
HELD = Item(PODS, Metadata(name="b", namespace="ns", deletion_timestamp=GONE, finalizers=("x/y",)))


def test_what_is_in_it_is_deleted_and_looked_at_again_soon():
    todo = namespace.plan(LEAVING, [BARE], NOW)
    assert todo.delete == (BARE,)
    assert not todo.release
    assert todo.again_after == namespace.LOOK_SECONDS


def test_nothing_goes_before_the_pods_are_gone():
    todo = namespace.plan(LEAVING, [BARE, HELD], NOW)
    assert todo.delete == ()
    failure = conditions.find(todo.conditions, "NamespaceDeletionContentFailure")
    assert failure.status == "True"
    assert "1 pods" in failure.message
    running = Item(PODS, Metadata(name="c", namespace="ns"))
    assert namespace.plan(LEAVING, [BARE, running], NOW).delete == (running,)


def test_what_blocks_it_is_told():
    todo = namespace.plan(LEAVING, [HELD], NOW)
    assert todo.again_after == namespace.WAIT_SECONDS
    left = conditions.find(todo.conditions, "NamespaceContentRemaining")
    held = conditions.find(todo.conditions, "NamespaceFinalizersRemaining")
    assert left.message.endswith("pods. has 1 resource instances")
    assert held.message.endswith("x/y in 1 resource instances")
    told = msgspec.structs.replace(LEAVING, status=Status(conditions=todo.conditions))
    assert namespace.plan(told, [HELD], NOW + 9).conditions == todo.conditions


def test_an_empty_one_is_let_go_once():
    assert namespace.plan(LEAVING, [], NOW).release
    released = msgspec.structs.replace(LEAVING, spec=Spec())
    assert not namespace.plan(released, [], NOW).release


def test_only_living_namespaces_get_an_account():
    assert serviceaccount.plan(LIVING, there=False)
    assert not serviceaccount.plan(LIVING, there=True)
    assert not serviceaccount.plan(LEAVING, there=False)


def test_the_authority_is_published_and_restored():
    assert rootca.plan(LIVING, None, "pem").write is Write.CREATE
    todo = rootca.plan(LIVING, ConfigMap(data={"ca.crt": "forged", "x": "y"}), "pem")
    assert todo.write is Write.RESTORE
    assert rootca.plan(LIVING, ConfigMap(data=todo.data), "pem").write is Write.NOTHING
    assert rootca.plan(LEAVING, None, "pem").write is Write.NOTHING


ACCOUNT = ServiceAccount(metadata=Metadata(name="robot", uid="u1"))


def secret(*, uid=None, data=None, name="robot"):
    annotations = {identity.ACCOUNT_NAME: name} if name else {}
    if uid is not None:
        annotations[identity.ACCOUNT_UID] = uid
    return Secret(metadata=Metadata(name="s", namespace="ns", annotations=annotations),
                  type=identity.TOKEN_TYPE, data=data or {})  # fmt: skip


def test_a_token_secret_is_filled_once():
    todo = token.plan(secret(), ACCOUNT, "pem")
    assert (todo.act, todo.sign) == (Act.FILL, True)
    assert base64.b64decode(todo.data["namespace"]) == b"ns"
    full = secret(uid="u1", data={**todo.data, "token": "abc"})
    assert token.plan(full, ACCOUNT, "pem").act is Act.NOTHING
    renewed = token.plan(full, ACCOUNT, "another authority")
    assert (renewed.act, renewed.sign) == (Act.FILL, False)


def test_a_token_secret_goes_with_its_account():
    assert token.plan(secret(uid="u1"), None, "pem").act is Act.DELETE
    assert token.plan(secret(uid="u0"), ACCOUNT, "pem").act is Act.DELETE
    assert token.plan(secret(), None, "pem").act is Act.NOTHING
    assert token.plan(secret(name=""), None, "pem").act is Act.NOTHING
