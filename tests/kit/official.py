"""The official Python client's groups under short names, and raw requests beside them."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import kubernetes
from kubernetes import client as groups
from kubernetes import dynamic


@dataclass(frozen=True)
class Raw:
    """An answer as it came."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Official:
    """``client.core.create_namespaced_pod(…)``, ``client.dynamic``, ``client.raw("GET", path)``."""

    def __init__(self, api: kubernetes.client.ApiClient) -> None:
        self.api = api
        self.core = groups.CoreV1Api(api)
        self.apps = groups.AppsV1Api(api)
        self.batch = groups.BatchV1Api(api)
        self.custom = groups.CustomObjectsApi(api)

    def group(self, name: str) -> Any:
        """Another group's typed calls: ``client.group("StorageV1Api")``."""
        return getattr(groups, name)(self.api)

    @cached_property
    def dynamic(self) -> dynamic.DynamicClient:
        return dynamic.DynamicClient(self.api)

    def raw(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> Raw:
        """One request; no answer is an error."""
        sent = {"Content-Type": "application/json", "Accept": "application/json", **(headers or {})}
        content = body if body is None or isinstance(body, str | bytes) else json.dumps(body)
        answer = self.api.rest_client.pool_manager.request(
            method, self.api.configuration.host + path, body=content, headers=sent, redirect=False
        )
        return Raw(answer.status, dict(answer.headers), answer.data)
