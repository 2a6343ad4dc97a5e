"""The pods of this node as whole objects, for who asks the kubelet instead of the API server."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.kubelet.workers.worker import PodWorker
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.resources import PODS
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.client.objects import Objects, Selection

Document = dict[str, Any]


class Listing:
    """Specs are not kept here: they are read anew, and told as far as known where that fails."""

    def __init__(
        self,
        objects: Objects,
        pods: Pods,
        node: str,
        static: Callable[[], Mapping[str, Document]],
    ) -> None:
        """``static``: bodies of static pods by their uid."""
        self._objects = objects
        self._pods = pods
        self._selection = Selection(fields=f"spec.nodeName={node}")
        self._static = static
        self._log = telemetry.logger(part="listing")

    async def all(self) -> list[Document]:
        """Every pod that this kubelet works on, with the status that it found itself."""
        known = dict(self._static())
        try:
            texts, _ = await self._objects.list(PODS, self._selection)
            for text in texts:
                body = msgspec.json.decode(text)
                known.setdefault(body["metadata"]["uid"], body)
        except ApiError as error:
            self._log.info("told without specs of the API server", error=error.message)
        return [_whole(worker, known) for worker in self._pods.workers()]

    def running(self) -> list[Document]:
        """What the runtime runs, as pods of their names and containers."""
        found = []
        for worker in self._pods.workers():
            items = [item for item in worker.observed.containers if item.state == "running"]
            if items:
                containers = [
                    {"name": item.name, "image": item.image, "resources": {}} for item in items
                ]
                metadata = _metadata(worker)
                body = {"metadata": metadata, "spec": {"containers": containers}, "status": {}}
                found.append(body)
        return found


def _whole(worker: PodWorker, known: Mapping[str, Document]) -> Document:
    body = known.get(worker.pod.uid)
    if body is None:
        told: Document = msgspec.to_builtins(worker.pod)
        body = {"metadata": _metadata(worker), "spec": told.get("spec", {})}
    kept = {name: body[name] for name in ("metadata", "spec") if name in body}
    return kept | {"status": {**body.get("status", {}), **worker.status}}


def _metadata(worker: PodWorker) -> Document:
    metadata = worker.pod.metadata
    return {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid}
