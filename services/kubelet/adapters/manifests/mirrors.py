"""Mirrors of static pods, and where static pods come from."""

from pilothouse.services.kubelet.adapters.manifests.directory import ManifestFiles
from pilothouse.services.kubelet.adapters.manifests.url import ManifestUrl
from pilothouse.services.kubelet.config import Config
from pilothouse.services.kubelet.manifests.manifests import Manifests, Source
from pilothouse.services.kubelet.manifests.static_pods import StaticPod
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.machinery.errors import Conflict, NotFound, ServiceUnavailable
from pilothouse.services.machinery.kinds import nodes
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import PODS
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import Clock


def manifests(
    config: Config, objects: Objects, node_cache: Cache[nodes.Node], pods: Pods, clock: Clock
) -> Manifests:
    """The static pods of this node."""
    mirrors = MeshMirrors(objects, node_cache, config.node_name)
    return Manifests(sources(config), mirrors, pods, clock, config.node_name)


def sources(config: Config) -> list[Source]:
    """Those that the configuration names."""
    said, found = config.kubelet, list[Source]()
    if config.paths.manifests is not None:
        found.append(ManifestFiles(config.paths.manifests, said.file_check_frequency))
    if said.static_pod_url:
        headers, seconds = said.static_pod_url_header, said.http_check_frequency
        found.append(ManifestUrl(said.static_pod_url, headers, seconds))
    return found


class MeshMirrors:
    """A mirror belongs to its Node, and goes with it."""

    def __init__(self, objects: Objects, node_cache: Cache[nodes.Node], node: str) -> None:
        self._objects = objects
        self._nodes = node_cache
        self._node = node

    async def create_mirror(self, static: StaticPod) -> None:
        """Show a static pod. ServiceUnavailable before the Node is there."""
        found = self._nodes.get(Key("", self._node))
        if found is None:
            raise ServiceUnavailable(f'node "{self._node}" is not registered yet')
        owner = {
            "apiVersion": "v1",
            "kind": "Node",
            "name": self._node,
            "uid": found.metadata.uid,
            "controller": True,
        }
        metadata = static.body["metadata"] | {"ownerReferences": [owner]}
        body = static.body | {"metadata": metadata}
        await self._objects.create(PODS, static.pod.metadata.namespace, body)

    async def delete_mirror(self, mirror: Pod) -> None:
        """Show it no more."""
        key = mirror.metadata.key
        try:
            await self._objects.delete(PODS, key, uid=mirror.uid, grace_period_seconds=0)
        except (NotFound, Conflict):
            return
