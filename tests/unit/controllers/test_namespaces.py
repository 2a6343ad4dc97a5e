"""Namespaces: emptied, then let go; and what each of them is given while it lives."""

import base64

import msgspec

from pilothouse.services.controllers.identity import rootca, serviceaccount, token
from pilothouse.services.controllers.identity.rootca import Write
from pilothouse.services.controllers.identity.token import Act
from pilothouse.services.controllers.namespace import namespace
from pilothouse.services.controllers.namespace.namespace import (
    Contents,
    Item,
    NamespaceController,
)
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import ApiError, Forbidden, InternalError
from pilothouse.services.machinery.kinds import identity
from pilothouse.services.machinery.kinds.identity import ConfigMap, Secret, ServiceAccount
from pilothouse.services.machinery.kinds.namespaces import Namespace, Spec, Status
from pilothouse.services.machinery.objects import Key, Metadata
from pilothouse.services.machinery.resources import CONFIG_MAPS, PODS, SECRETS

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


def plan(*items, it=LEAVING, failures=None):
    return namespace.plan(it, Contents(items, failures or {}))


def said(*items, it=LEAVING, failures=None, now=NOW):
    found = namespace.told(it, items, failures or {}, now)
    return {item.type: (item.status, item.reason, item.message) for item in found}


def test_what_is_in_it_is_deleted_and_looked_at_again_soon():
    todo = plan(BARE)
    assert todo.delete == (BARE,)
    assert not todo.release
    assert todo.again_after == namespace.LOOK_SECONDS


def test_nothing_goes_before_the_pods_are_gone():
    assert plan(BARE, HELD).delete == ()
    running = Item(PODS, Metadata(name="c", namespace="ns"))
    assert plan(BARE, running).delete == (running,)
    assert plan(BARE, failures={PODS: InternalError("no pods")}).delete == ()


def test_what_is_told_of_one_that_holds_on():
    assert plan(HELD).again_after == namespace.WAIT_SECONDS
    assert said(HELD) == {
        "NamespaceDeletionDiscoveryFailure": (
            "False", "ResourcesDiscovered", "All resources successfully discovered",
        ),
        "NamespaceDeletionGroupVersionParsingFailure": (
            "False", "ParsedGroupVersions", "All legacy kube types successfully parsed",
        ),
        "NamespaceDeletionContentFailure": (
            "False", "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        "NamespaceContentRemaining": (
            "True", "SomeResourcesRemain",
            "Some resources are remaining: pods. has 1 resource instances",
        ),
        "NamespaceFinalizersRemaining": (
            "True", "SomeFinalizersRemain",
            "Some content in the namespace has finalizers remaining: x/y in 1 resource instances",
        ),
    }  # fmt: skip
    told = namespace.told(LEAVING, [HELD], {}, NOW)
    again = msgspec.structs.replace(LEAVING, status=Status(conditions=told))
    assert namespace.told(again, [HELD], {}, NOW + 9) == told
    well = said(it=again)
    assert {status for status, _, _ in well.values()} == {"False"}
    assert well["NamespaceContentRemaining"][1:] == (
        "ContentRemoved", "All content successfully removed",
    )  # fmt: skip
    assert well["NamespaceFinalizersRemaining"][1:] == (
        "ContentHasNoFinalizers", "All content-preserving finalizers finished",
    )  # fmt: skip


def test_what_could_not_be_deleted_is_told():
    failures = {CONFIG_MAPS: Forbidden("they stay"), PODS: InternalError("no pods")}
    assert said(BARE, failures=failures)["NamespaceDeletionContentFailure"] == (
        "True", "ContentDeletionFailed",
        "Failed to delete all resource types, 2 remaining: no pods, they stay",
    )  # fmt: skip


def test_pods_that_should_be_gone_are_told_of():
    lost = Item(PODS, Metadata(name="c", namespace="ns", deletion_timestamp=GONE))
    late = timestamps.parse(GONE) + 1
    assert said(lost, now=late)["NamespaceDeletionContentFailure"][2] == (
        "Failed to delete all resource types, 1 remaining: unexpected items still remain in "
        "namespace: ns for gvr: /v1, Resource=pods"
    )
    assert said(lost, now=late - 2)["NamespaceDeletionContentFailure"][0] == "False"
    assert said(lost, HELD, now=late)["NamespaceDeletionContentFailure"][0] == "False"


def test_an_empty_one_is_let_go_once():
    assert plan().release
    assert not plan(it=msgspec.structs.replace(LEAVING, spec=Spec())).release
    assert not plan(failures={CONFIG_MAPS: InternalError("who knows")}).release


class Room:
    """One namespace, and what is done about it."""

    def __init__(self, it, contents, failures=None):
        self.it = it
        self.found = contents
        self.failures = failures or {}
        self.acts = []

    def namespace(self, key):
        return self.it

    def now(self):
        return NOW

    async def contents(self, namespace):
        return self.found

    async def delete(self, items):
        self.acts += [("delete", item.metadata.name) for item in items]
        return self.failures

    async def write_conditions(self, namespace, told):
        self.acts.append("told")

    async def release(self, namespace):
        self.acts.append("release")


async def look(it, *items, failures=None, unlisted=None):
    room = Room(it, Contents(items, unlisted or {}), failures)
    try:
        await NamespaceController(room).reconcile(Key("", "ns"))
    except ApiError:
        room.acts.append("failed")
    return room.acts


async def test_what_goes_at_once_is_not_worth_telling():
    assert await look(LEAVING, BARE) == [("delete", "a")]
    assert await look(LEAVING, HELD) == ["told"]
    assert await look(LEAVING) == ["release"]
    held = msgspec.structs.replace(LEAVING, spec=Spec(finalizers=("kubernetes", "a/b")))
    assert await look(held) == ["told", "release"]


async def test_who_refuses_is_named_and_the_rest_goes_on():
    failures = {CONFIG_MAPS: Forbidden("they stay")}
    assert await look(LEAVING, BARE, failures=failures) == [("delete", "a"), "told", "failed"]
    assert await look(LEAVING, BARE, unlisted={SECRETS: InternalError("?")}) == [
        ("delete", "a"), "told", "failed",
    ]  # fmt: skip


def test_only_living_namespaces_get_an_account():
    assert serviceaccount.plan(LIVING, there=False)
    assert not serviceaccount.plan(LIVING, there=True)
    assert not serviceaccount.plan(LEAVING, there=False)


def test_the_authority_is_published_and_restored():
    assert rootca.plan(LIVING, None, "pem").write is Write.CREATE
    todo = rootca.plan(LIVING, ConfigMap(data={"ca.crt": "forged", "x": "y"}), "pem")
    assert todo.write is Write.RESTORE
    said = Metadata(annotations={identity.DESCRIPTION: "what it is for"})
    whole = ConfigMap(metadata=said, data=todo.data)
    assert rootca.plan(LIVING, whole, "pem").write is Write.NOTHING
    assert rootca.plan(LIVING, ConfigMap(data=todo.data), "pem").write is Write.RESTORE
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
    assert token.plan(secret(), None, "pem").act is Act.DELETE
    assert token.plan(secret(name=""), None, "pem").act is Act.NOTHING


def test_without_an_authority_a_token_is_filled_all_the_same():
    todo = token.plan(secret(), ACCOUNT, "")
    assert (todo.act, todo.sign, todo.data.keys()) == (Act.FILL, True, {"namespace"})
