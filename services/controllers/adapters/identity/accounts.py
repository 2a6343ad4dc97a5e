"""Namespaces with their accounts, tokens and trust."""

import base64
import json
from collections.abc import Iterable
from typing import Any

import msgspec

from pilothouse.services.controllers.adapters import wiring
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.identity import rootca, serviceaccount, token
from pilothouse.services.machinery.errors import AlreadyExists, NotFound
from pilothouse.services.machinery.kinds import identity
from pilothouse.services.machinery.kinds.identity import ConfigMap, Secret, ServiceAccount
from pilothouse.services.machinery.kinds.namespaces import Namespace
from pilothouse.services.machinery.objects import Key, Viewed
from pilothouse.services.machinery.resources import (
    CONFIG_MAPS,
    NAMESPACES,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Selection
from pilothouse.services.runtime.control.queue import WorkQueue

TOKEN_SECONDS = 10 * 365 * 24 * 3600
ROOT_CAS = Selection(fields=f"metadata.name={identity.ROOT_CA}")
TOKEN_SECRETS = Selection(fields=f"type={identity.TOKEN_TYPE}")
DESCRIPTION = "Verifies the API server of this cluster; written by Pilothouse, changes are undone"
_WHAT_FOR = {identity.DESCRIPTION: DESCRIPTION}

_ACCOUNT = "account"
_SERVICE_ACCOUNT = msgspec.json.Decoder(ServiceAccount)


class Accounts:
    """What the ServiceAccount controller asks for."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._namespaces = world.cache(NAMESPACES, Namespace)
        self._accounts = world.cache(SERVICE_ACCOUNTS, ServiceAccount)

    def namespace(self, key: Key) -> Namespace | None:
        return self._namespaces.get(key)

    def has_account(self, namespace: Namespace) -> bool:
        key = Key(namespace.metadata.name, identity.DEFAULT_ACCOUNT)
        return self._accounts.get(key) is not None

    async def create_account(self, namespace: Namespace) -> None:
        name = namespace.metadata.name
        body = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": identity.DEFAULT_ACCOUNT, "namespace": name},
        }
        await _create_once(self._objects.create(SERVICE_ACCOUNTS, name, body))


class RootCAs:
    """What the root CA controller asks for."""

    def __init__(self, world: World, certificate: str) -> None:
        self._objects = world.objects
        self._namespaces = world.cache(NAMESPACES, Namespace)
        self._published = world.cache(CONFIG_MAPS, ConfigMap, ROOT_CAS)
        self._certificate = certificate

    def namespace(self, key: Key) -> Namespace | None:
        return self._namespaces.get(key)

    def root_ca(self, namespace: Namespace) -> ConfigMap | None:
        return self._published.get(Key(namespace.metadata.name, identity.ROOT_CA))

    def certificate(self) -> str:
        return self._certificate

    async def write(self, namespace: Namespace, todo: rootca.Plan) -> None:
        name = namespace.metadata.name
        if todo.write is rootca.Write.RESTORE:
            present = self.root_ca(namespace)
            gone = dict.fromkeys(present.data) if present is not None else {}
            key = Key(name, identity.ROOT_CA)
            patch = {"metadata": {"annotations": _WHAT_FOR}, "data": {**gone, **todo.data}}
            await self._objects.patch(CONFIG_MAPS, key, patch)
            return
        metadata = {"name": identity.ROOT_CA, "namespace": name, "annotations": _WHAT_FOR}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": todo.data}
        await _create_once(self._objects.create(CONFIG_MAPS, name, body))


class Tokens:
    """What the token controller asks for."""

    def __init__(self, world: World, certificate: str) -> None:
        self._objects = world.objects
        self._accounts = world.cache(SERVICE_ACCOUNTS, ServiceAccount)
        self._secrets = world.cache(SECRETS, Secret, TOKEN_SECRETS)
        self._secrets.add_index(_ACCOUNT, _account_of)
        self._gone: dict[Key, Secret] = {}
        self._certificate = certificate

    def secret(self, key: Key) -> Secret | None:
        return self._secrets.get(key)

    def certificate(self) -> str:
        return self._certificate

    async def account(self, secret: Secret) -> ServiceAccount | None:
        notes = secret.metadata.annotations
        key = Key(secret.metadata.namespace, notes.get(identity.ACCOUNT_NAME, ""))
        bound = notes.get(identity.ACCOUNT_UID)
        known = self._accounts.get(key)
        if not key.name or (known is not None and bound in {None, "", known.metadata.uid}):
            return known
        try:
            return _SERVICE_ACCOUNT.decode(await self._objects.get(SERVICE_ACCOUNTS, key))
        except NotFound:
            return None

    def lost(self, secret: Secret) -> None:
        """It is gone; its account may name it still."""
        if self._named_by(secret) is not None:
            self._gone[secret.metadata.key] = secret

    async def unname(self, key: Key) -> None:
        secret = self._gone.get(key)
        account = self._named_by(secret) if secret is not None else None
        if account is not None:
            metadata = account.metadata
            body = json.loads(await self._objects.get(SERVICE_ACCOUNTS, metadata.key))
            kept = [one for one in body.get("secrets") or () if one.get("name") != key.name]
            seen = {"uid": metadata.uid, "resourceVersion": body["metadata"]["resourceVersion"]}
            patch = {"metadata": seen, "secrets": kept or None}
            await self._objects.patch(SERVICE_ACCOUNTS, metadata.key, patch)
        self._gone.pop(key, None)

    def _named_by(self, secret: Secret) -> ServiceAccount | None:
        """Its account, if that names it."""
        metadata = secret.metadata
        name = metadata.annotations.get(identity.ACCOUNT_NAME, "")
        found = self._accounts.get(Key(metadata.namespace, name))
        bound = metadata.annotations.get(identity.ACCOUNT_UID)
        if found is None or bound not in {None, "", found.metadata.uid}:
            return None
        return found if any(one.name == metadata.name for one in found.secrets) else None

    async def fill(self, secret: Secret, account: ServiceAccount, todo: token.Plan) -> None:
        data = dict(todo.data)
        if todo.sign:
            data[token.TOKEN_KEY] = base64.b64encode(await self._sign(secret, account)).decode()
        metadata = secret.metadata
        patch = {
            "metadata": {
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
                "annotations": {identity.ACCOUNT_UID: account.metadata.uid},
            },
            "data": data,
        }
        await self._objects.patch(SECRETS, metadata.key, patch)

    async def delete(self, secret: Secret) -> None:
        await remove(self._objects, SECRETS, secret.metadata)

    async def _sign(self, secret: Secret, account: ServiceAccount) -> bytes:
        """A token that dies with the Secret."""
        bound = {
            "apiVersion": "v1",
            "kind": "Secret",
            "name": secret.metadata.name,
            "uid": secret.metadata.uid,
        }
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_SECONDS, "boundObjectRef": bound},
        }
        key = account.metadata.key
        answer = await self._objects.create(
            SERVICE_ACCOUNTS, key.namespace, request, name=key.name, subresource="token"
        )
        signed: str = json.loads(answer)["status"]["token"]
        return signed.encode()


def _account_of(secret: Secret) -> Iterable[str]:
    name = secret.metadata.annotations.get(identity.ACCOUNT_NAME, "")
    return (str(Key(secret.metadata.namespace, name)),)


async def _create_once(creation: Any) -> None:
    """Two of us, or a cache that lags, may create the same; the first wins and all are content."""
    try:
        await creation
    except AlreadyExists:
        return


def account(world: World) -> Controller:
    """The ServiceAccount controller, wired."""
    queue, found = _by_namespace(world, world.cache(SERVICE_ACCOUNTS, ServiceAccount))
    return controller(serviceaccount.ServiceAccountController(Accounts(world)), queue, found)


def root_ca(world: World, certificate: str) -> Controller:
    """The root CA controller, wired."""
    queue, found = _by_namespace(world, world.cache(CONFIG_MAPS, ConfigMap, ROOT_CAS))
    return controller(rootca.RootCAController(RootCAs(world, certificate)), queue, found)


def _by_namespace(world: World, kept: Cache[Any]) -> tuple[WorkQueue[Key], Cache[Namespace]]:
    """A queue of namespaces that changed, or in which something of ``kept`` did."""
    found = world.cache(NAMESPACES, Namespace)
    queue: WorkQueue[Key] = WorkQueue()

    def lost_or_changed(old: Viewed | None, new: Viewed | None) -> None:
        if old is not None:
            queue.add(Key("", old.metadata.namespace))

    found.on_change(wiring.itself(queue))
    kept.on_change(lost_or_changed)
    return queue, found


def tokens(world: World, certificate: str) -> Controller:
    """The token controller, wired."""
    cluster = Tokens(world, certificate)
    secrets = world.cache(SECRETS, Secret, TOKEN_SECRETS)
    queue: WorkQueue[Key] = WorkQueue()

    def account_changed(old: ServiceAccount | None, new: ServiceAccount | None) -> None:
        item = new if new is not None else old
        if item is not None:
            for secret in secrets.by_index(_ACCOUNT, str(item.metadata.key)):
                queue.add(secret.metadata.key)

    def secret_changed(old: Secret | None, new: Secret | None) -> None:
        if old is not None and new is None:
            cluster.lost(old)

    secrets.on_change(secret_changed)
    secrets.on_change(wiring.itself(queue))
    world.cache(SERVICE_ACCOUNTS, ServiceAccount).on_change(account_changed)
    return controller(token.TokenController(cluster), queue, secrets)
