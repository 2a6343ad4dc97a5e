"""The health of our neighbours, as ComponentStatus objects computed when asked."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pilothouse.services.apiserver.ports import Storage
from pilothouse.services.apiserver.requests import Target, User
from pilothouse.services.machinery.errors import MethodNotAllowed
from pilothouse.services.machinery.storage import Unavailable
from pilothouse.services.runtime.rpc.channel import open_channel

ANSWER_SECONDS_MAX = 1.0
# The name that people know, and the socket of ours that stands for it.
SOCKETS: Mapping[str, str] = {
    "controller-manager": "controllers.sock",
    "scheduler": "scheduler.sock",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a component is healthy: ``message`` of one that is, ``error`` of one that is not."""

    name: str
    message: str = ""
    error: str = ""


class ComponentStatuses:
    """Asks every component, all at the same time, for at most a second."""

    def __init__(self, storage: Storage, run: Path) -> None:
        self._storage = storage
        self._run = run

    async def create(self, user: User, target: Target, body: dict[str, Any]) -> dict[str, Any]:
        """Refused: nobody makes a component."""
        raise MethodNotAllowed("the server does not allow this method on the requested resource")

    async def list(self, user: User, target: Target) -> Sequence[dict[str, Any]]:
        """Every component as it is now, by name."""
        del user, target
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._socket(*each)) for each in SOCKETS.items()]
            tasks.append(group.create_task(self._store()))
        findings = [task.result() for task in tasks]
        return [document(finding) for finding in sorted(findings, key=lambda each: each.name)]

    async def _socket(self, name: str, file: str) -> Finding:
        path = self._run / file
        if not path.exists():
            return Finding(name, error=f"dial unix {path}: no such file")
        channel = open_channel(f"unix://{path}")
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=ANSWER_SECONDS_MAX
            )
        except grpc.aio.AioRpcError as error:
            return Finding(name, error=f"dial unix {path}: {error.details()}")
        finally:
            await channel.close()
        serving = answer.status == health_pb2.HealthCheckResponse.SERVING
        return Finding(name, message="ok") if serving else Finding(name, error="not serving")

    async def _store(self) -> Finding:
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                await self._storage.revision()
        except TimeoutError:
            return Finding("etcd-0", error=f"no answer within {ANSWER_SECONDS_MAX:g} s")
        except Unavailable as error:
            return Finding("etcd-0", error=str(error))
        return Finding("etcd-0", message="ok")


def document(finding: Finding) -> dict[str, Any]:
    """The ComponentStatus of a finding."""
    condition = {"type": "Healthy", "status": "False" if finding.error else "True"}
    condition["message"] = finding.error or finding.message
    return {
        "apiVersion": "v1",
        "kind": "ComponentStatus",
        "metadata": {"name": finding.name},
        "conditions": [condition],
    }
