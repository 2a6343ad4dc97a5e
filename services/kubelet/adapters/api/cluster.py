"""The API server as one node needs it: what pods refer to, and what is told of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.ports import PullSecret
from pilothouse.services.kubelet.volumes import payload
from pilothouse.services.kubelet.volumes.sources import TokenSource
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import Conflict, NotFound
from pilothouse.services.machinery.kinds.services import Service
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    CONFIG_MAPS,
    PODS,
    RUNTIME_CLASSES,
    SECRETS,
    SERVICE_ACCOUNTS,
    Resource,
)
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Objects

MASTER = Key("default", "kubernetes")
BY_NAMESPACE = "namespace"
PULL_TYPES = ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg")


def _own_uid(pod: Pod) -> str:
    return pod.uid


class MeshCluster:
    """Over ``mesh.v1.Objects``."""

    def __init__(self, objects: Objects, services: Cache[Service]) -> None:
        self._objects = objects
        self._services = services
        services.add_index(BY_NAMESPACE, lambda service: (service.metadata.namespace,))
        self._uid_of: Callable[[Pod], str] = _own_uid

    def name_mirrors(self, uid_of: Callable[[Pod], str]) -> None:
        """``uid_of`` a pod is the uid of its object here; empty when it has none."""
        self._uid_of = uid_of

    async def config_map(self, key: Key) -> Mapping[str, bytes]:
        """All keys with their bytes."""
        return await self._fetch(CONFIG_MAPS, key)

    async def secret(self, key: Key) -> Mapping[str, bytes]:
        """All keys with their bytes."""
        return await self._fetch(SECRETS, key)

    async def pull_secret(self, key: Key) -> PullSecret:
        """A Secret that is for pulls of images."""
        body = msgspec.json.decode(await self._objects.get(SECRETS, key))
        data = payload.secret_files(body) if body.get("type") in PULL_TYPES else {}
        return PullSecret(body["metadata"]["uid"], key.namespace, key.name, data)

    async def _fetch(self, resource: Resource, key: Key) -> dict[str, bytes]:
        body = msgspec.json.decode(await self._objects.get(resource, key))
        read = payload.secret_files if resource is SECRETS else payload.config_map_files
        return read(body)

    async def runtime_handler(self, runtime_class: str) -> str:
        """What the runtime calls a RuntimeClass."""
        body = await self._objects.get(RUNTIME_CLASSES, Key("", runtime_class))
        return str(msgspec.json.decode(body)["handler"])

    async def token(self, pod: Pod, source: TokenSource) -> tuple[str, float]:
        """A token bound to the pod, and when it ends."""
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [source.audience] if source.audience else [],
                "expirationSeconds": source.expiration_seconds,
                "boundObjectRef": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": pod.metadata.name,
                    "uid": pod.uid,
                },
            },
        }
        answer = await self._objects.create(
            SERVICE_ACCOUNTS,
            pod.metadata.namespace,
            request,
            name=pod.spec.service_account_name or "default",
            subresource="token",
        )
        status = msgspec.json.decode(answer)["status"]
        return status["token"], timestamps.parse(status["expirationTimestamp"])

    async def write_status(self, pod: Pod, status: dict[str, Any]) -> None:
        """Patch these fields of the status of this very pod."""
        key, uid = pod.metadata.key, self._uid_of(pod)
        if not uid:
            raise NotFound(f"pod {key} has no mirror yet")
        patch = {"metadata": {"uid": uid}, "status": status}
        await self._objects.patch(PODS, key, patch, subresource="status", strategic=True)

    async def remove(self, pod: Pod) -> None:
        """Delete this very pod's object at once."""
        uid = self._uid_of(pod)
        if not uid:
            return
        try:
            await self._objects.delete(PODS, pod.metadata.key, uid=uid, grace_period_seconds=0)
        except (NotFound, Conflict):
            return

    def services(self, namespace: str) -> Sequence[Service]:
        """The namespace's Services and ``default/kubernetes``."""
        found = [
            item
            for item in self._services.by_index(BY_NAMESPACE, namespace)
            if item.metadata.key != MASTER
        ]
        master = self._services.get(MASTER)
        return found if master is None else [*found, master]
