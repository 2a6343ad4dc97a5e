"""The two questions that bringing up asks the API: is it ready, are the nodes."""

import asyncio
import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any

from pilothouse.ops.local.cluster import Cluster

TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Api:
    """The cluster's API through its front door, as the administrator."""

    cluster: Cluster

    async def is_ready(self) -> bool:
        """Whether /readyz says ok."""
        status, _ = await asyncio.to_thread(self.get, "/readyz")
        return status == http.client.OK

    async def ready_nodes(self) -> set[str]:
        """The names of the nodes whose Ready condition is True."""
        status, body = await asyncio.to_thread(self.get, "/api/v1/nodes")
        if status != http.client.OK:
            return set()
        return {node["metadata"]["name"] for node in json.loads(body)["items"] if _is_ready(node)}

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body; status 0 while nobody answers."""
        pki = self.cluster.pki
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.cluster.port, context=context, timeout=TIMEOUT_SECONDS
        )
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
