"""Keep this node's Node and Lease true.

The lease says every ten seconds that the node is there; the status is written when it changed,
and every five minutes.
"""

import asyncio
from dataclasses import replace
from typing import Any, Protocol

from pilothouse.services.kubelet.node import node
from pilothouse.services.kubelet.node.node import Identity, Machine
from pilothouse.services.kubelet.ports import RuntimeState
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import AlreadyExists, ApiError, NotFound
from pilothouse.services.machinery.kinds.nodes import LEASE_NAMESPACE, Node
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import LEASES, NODES, Resource
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

UNREADY_SECONDS = 0.5
RETRY_SECONDS = 1.0


class Api(Protocol):
    """Writes of the API server."""

    async def create(self, resource: Resource, namespace: str, body: dict[str, Any], /) -> str: ...
    async def patch_status(self, resource: Resource, key: Key, patch: dict[str, Any], /) -> str: ...
    async def patch(self, resource: Resource, key: Key, patch: dict[str, Any], /) -> str: ...


class NodeView(Protocol):
    """The Node as it is now, and a place for its CNI configuration."""

    def current(self) -> Node | None: ...
    def configure_network(self, pod_cidr: str) -> None: ...


class Runtime(Protocol):
    async def state(self) -> RuntimeState: ...


class Registration:
    """The loops of one node."""

    def __init__(
        self, api: Api, view: NodeView, runtime: Runtime, clock: Clock, identity: Identity,
        machine: Machine,
    ) -> None:  # fmt: skip
        self._api = api
        self._view = view
        self._runtime = runtime
        self._clock = clock
        self._identity = identity
        self._machine = machine
        self._told: dict[str, Any] | None = None
        self._told_at = float("-inf")
        self._changed = asyncio.Event()
        self._known = asyncio.Event()
        self._leased_to = ""
        self._pressures = frozenset[str]()
        self._problem = ""
        self._images: list[dict[str, Any]] = []
        self._log = telemetry.logger(part="node")

    def changed(self, old: Node | None, new: Node | None) -> None:
        """The Node object has changed, or is gone."""
        if new is None:
            self._told = None
        else:
            self._known.set()
        if old is None or new is None or old.spec.pod_cidr != new.spec.pod_cidr:
            self._changed.set()

    def look(self) -> None:
        """The Node may have something else to tell."""
        self._changed.set()

    def hold(self, problem: str) -> None:
        """Why the node is not ready from now on, whatever the runtime says; empty: for nothing."""
        self._problem = problem
        self._changed.set()

    @property
    def pressures(self) -> frozenset[str]:
        """The conditions of pressure that hold."""
        return self._pressures

    def press(self, pressures: frozenset[str]) -> None:
        """The conditions of pressure that hold from now on."""
        if pressures != self._pressures:
            self._pressures = pressures
            self._changed.set()

    def show(self, images: list[dict[str, Any]]) -> None:
        """What the Node tells of its images from now on; with the next status that is written."""
        if images != self._images:
            self._images = images
            self._changed.set()

    async def run(self, renew_seconds: float = node.RENEW_SECONDS) -> None:
        """Until cancelled; ``renew_seconds`` after its first lease comes the second."""
        if self._view.current() is not None:
            self._known.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renew(renew_seconds))
            while True:
                self._changed.clear()
                try:
                    wait = await self._look()
                except ApiError as error:
                    self._log.info("node not written", error=error.message)
                    wait = RETRY_SECONDS
                await self._wait(wait)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _look(self) -> float:
        """Write what is new; seconds until the next look."""
        found = self._view.current()
        if found is not None and found.spec.pod_cidr:
            self._view.configure_network(found.spec.pod_cidr)
        state = await self._state()
        recorded = found.status.conditions if found is not None else ()
        now = self._clock.now()
        status = node.render(self._identity, self._machine, state, recorded, now, self._pressures)
        status["images"] = self._images
        if found is None and self._told is None:
            await self._register(status)
        due = self._clock.monotonic() - self._told_at >= node.REPORT_SECONDS
        if due or self._told is None or not node.same(self._told, status):
            await self._write(status)
        is_ready = not (state.runtime_problem or state.network_problem)
        return node.RENEW_SECONDS if is_ready else UNREADY_SECONDS

    async def _state(self) -> RuntimeState:
        try:
            state = await self._runtime.state()
        except ApiError as error:
            text = f"container runtime does not answer: {error.message}"
            state = RuntimeState("containerd", "unknown", runtime_problem=text)
        problems = [text for text in (state.runtime_problem, self._problem) if text]
        return replace(state, runtime_problem="; ".join(problems))

    async def _register(self, status: dict[str, Any]) -> None:
        taints = [dict(taint) for taint in self._identity.taints]
        body = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self._identity.name,
                "labels": node.labels(self._identity, self._machine),
                "annotations": dict(self._identity.annotations),
            },
            "spec": {"taints": taints} if taints else {},
            "status": status,
        }
        try:
            await self._api.create(NODES, "", body)
        except AlreadyExists:
            return
        self._told, self._told_at = status, self._clock.monotonic()
        self._log.info("registered", node=self._identity.name)

    async def _write(self, status: dict[str, Any]) -> None:
        key = Key("", self._identity.name)
        await self._api.patch_status(NODES, key, {"status": status})
        self._told, self._told_at = status, self._clock.monotonic()

    async def _renew(self, wait: float) -> None:
        await self._known.wait()
        while True:
            try:
                await self._lease()
            except ApiError as error:
                self._log.info("lease not renewed", error=error.message)
                wait = RETRY_SECONDS
            await self._clock.sleep(wait)
            wait = node.RENEW_SECONDS

    async def _lease(self) -> None:
        """Renew it, or make it; it belongs to the Node, and goes with it."""
        name = self._identity.name
        said: dict[str, Any] = {
            "spec": {
                "holderIdentity": name,
                "leaseDurationSeconds": node.LEASE_SECONDS,
                "renewTime": timestamps.render_micro(self._clock.now()),
            }
        }
        found = self._view.current()
        uid = "" if found is None else found.metadata.uid
        if uid and uid != self._leased_to:
            owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}
            said["metadata"] = {"ownerReferences": [owner]}
        key = Key(LEASE_NAMESPACE, name)
        try:
            if self._leased_to:
                await self._api.patch(LEASES, key, said)
            else:
                await self._create_lease(key, said)
        except AlreadyExists:
            await self._api.patch(LEASES, key, said)
        except NotFound:
            await self._create_lease(key, said)
        self._leased_to = uid

    async def _create_lease(self, key: Key, said: dict[str, Any]) -> None:
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": key.name, "namespace": key.namespace} | said.get("metadata", {}),
            "spec": said["spec"],
        }
        await self._api.create(LEASES, key.namespace, body)
