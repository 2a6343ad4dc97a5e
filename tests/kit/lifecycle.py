"""The life of an object as every kind has it, walked through raw HTTP."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from kit.official import Official, Raw

SECONDS_MAX = 30
MERGE = {"Content-Type": "application/merge-patch+json"}


@dataclass(frozen=True)
class Case:
    """A kind: where it is served, one valid object of it, and what may be changed of it.

    ``change`` and ``status`` are merge patches. ``scoped``: whether it lives in namespaces.
    ``name`` is the n-th object's with NUMBER in it, where not every name will do. Words of
    ``filled`` and NAMESPACE stand for values in the manifest.
    """

    api: str
    plural: str
    manifest: dict[str, Any]
    change: dict[str, Any] = field(default_factory=dict)
    status: dict[str, Any] | None = None
    scoped: bool = True
    name: str = "NAMESPACE-NUMBER"
    filled: dict[str, str] = field(default_factory=dict)

    def path(self, namespace: str, *rest: str) -> str:
        """Of the collection, or with ``rest`` of what is below it."""
        inside = f"/namespaces/{namespace}" if self.scoped and namespace else ""
        return "/".join((f"{self.api}{inside}/{self.plural}", *rest))


@dataclass
class Life:
    """One walk: ``walk`` fails with what the server did otherwise."""

    client: Official
    case: Case
    namespace: str

    def walk(self) -> None:
        """Discovery, create, read, watch, patch, update, status, delete, delete a collection."""
        self._is_discovered()
        since = self._ask("GET", self.case.path(self.namespace)).json["metadata"]["resourceVersion"]
        names = [self._create(number) for number in range(3)]
        self._is_listed(names)
        self._changes(names[0])
        if self.case.status is not None:
            self._has_status(names[0])
        self._is_deleted(names[0])
        self._collection_is_deleted()
        self._was_watched(since, names)

    @property
    def label(self) -> str:
        return f"walk={self.namespace}"

    def _ask(
        self, method: str, path: str, body: Any = None, *, code: int = 200, **headers: str
    ) -> Raw:
        sent = MERGE if method == "PATCH" else None
        answer = self.client.raw(method, path, body, headers=sent)
        assert answer.code == code, f"{method} {path}: {answer.code} {answer.body.decode()}"
        return answer

    def _is_discovered(self) -> None:
        listed = self._ask("GET", self.case.api).json
        found = {one["name"]: one for one in listed["resources"]}
        assert found[self.case.plural]["namespaced"] is self.case.scoped
        assert set(found[self.case.plural]["verbs"]) == {
            "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
        }  # fmt: skip
        if self.case.status is not None:
            assert set(found[f"{self.case.plural}/status"]["verbs"]) == {"get", "patch", "update"}
        if self.case.api != "/api/v1":
            _, _, group, version = self.case.api.split("/")
            served = self._ask("GET", f"/apis/{group}").json
            assert version in {one["version"] for one in served["versions"]}
            assert group in {one["name"] for one in self._ask("GET", "/apis").json["groups"]}

    def _body(self, number: int) -> Any:
        words = {**self.case.filled, "NAMESPACE": self.namespace, "NUMBER": str(number + 1)}
        metadata = {"name": self.case.name, "labels": {"walk": self.namespace}}
        return _filled({**self.case.manifest, "metadata": metadata}, words)

    def _create(self, number: int) -> str:
        body = self._body(number)
        path = self.case.path(self.namespace)
        made = self._ask("POST", path, body, code=201).json
        assert made["metadata"]["uid"]
        assert made["metadata"]["creationTimestamp"]
        refused = self._ask("POST", path, body, code=409).json
        assert refused["reason"] == "AlreadyExists"
        name: str = made["metadata"]["name"]
        read = self._ask("GET", self.case.path(self.namespace, name)).json
        assert read["metadata"]["uid"] == made["metadata"]["uid"]
        return name

    def _is_listed(self, names: list[str]) -> None:
        for path in {self.case.path(self.namespace), self.case.path("")}:
            items = self._ask("GET", f"{path}?labelSelector={quote(self.label)}").json["items"]
            assert [one["metadata"]["name"] for one in items] == names
            one = quote(f"metadata.name={names[1]}")
            items = self._ask("GET", f"{path}?fieldSelector={one}").json["items"]
            assert names[1] in [one["metadata"]["name"] for one in items]

    def _changes(self, name: str) -> None:
        path = self.case.path(self.namespace, name)
        patch = {**self.case.change, "metadata": {"annotations": {"patched": "yes"}}}
        patched = self._ask("PATCH", path, patch).json
        assert patched["metadata"]["annotations"]["patched"] == "yes"
        holds(patched, self.case.change)
        stale = patched
        patched = self._updated(path, "updated")
        assert patched["metadata"]["annotations"]["updated"] == "yes"
        assert patched["metadata"]["resourceVersion"] != stale["metadata"]["resourceVersion"]
        stale["metadata"]["annotations"]["updated"] = "too late"
        assert self._ask("PUT", path, stale, code=409).json["reason"] == "Conflict"

    def _updated(self, path: str, word: str) -> Any:
        """An update, made again when a controller was faster."""
        for _ in range(10):
            read = self._ask("GET", path).json
            read["metadata"].setdefault("annotations", {})[word] = "yes"
            answer = self.client.raw("PUT", path, read)
            if answer.code != 409:
                break
        assert answer.code == 200, f"PUT {path}: {answer.code} {answer.body.decode()}"
        return answer.json

    def _has_status(self, name: str) -> None:
        path = self.case.path(self.namespace, name)
        spec = self._ask("GET", path).json.get("spec")
        patched = self._ask("PATCH", f"{path}/status", {"status": self.case.status}).json
        holds(patched["status"], self.case.status or {})
        assert self._ask("GET", f"{path}/status").json["kind"] == patched["kind"]
        # Of some kinds a status is written without metadata.
        updated = self._updated(f"{path}/status", "status-updated")
        assert updated.get("spec") == spec

    def _is_deleted(self, name: str) -> None:
        path = self.case.path(self.namespace, name)
        answer = self.client.raw("DELETE", path)
        assert answer.code in {200, 202}, answer.body
        eventually(f"{path} is gone", lambda: self.client.raw("GET", path).code == 404)

    def _collection_is_deleted(self) -> None:
        path = f"{self.case.path(self.namespace)}?labelSelector={quote(self.label)}"
        self._ask("DELETE", path)
        eventually(f"{path} is empty", lambda: not self._ask("GET", path).json["items"])

    def _was_watched(self, since: str, names: list[str]) -> None:
        path = f"{self.case.path(self.namespace)}?labelSelector={quote(self.label)}"
        gone: set[str] = set()
        seen: dict[str, list[str]] = {}
        for event in watched(self.client, f"{path}&resourceVersion={since}"):
            name = event["object"]["metadata"]["name"]
            seen.setdefault(name, []).append(event["type"])
            if event["type"] == "DELETED":
                gone.add(name)
            if gone == set(names):
                break
        for name in names:
            assert seen[name][0] == "ADDED", seen
            assert seen[name][-1] == "DELETED", seen
        assert "MODIFIED" in seen[names[0]]


def _filled(value: Any, words: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(inner, words) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, words) for inner in value]
    if isinstance(value, str):
        for word, meaning in words.items():
            value = value.replace(word, meaning)
    return value


def watched(client: Official, path: str) -> Iterator[dict[str, Any]]:
    """Events of a watch, until half a minute is over; leaving the loop ends it."""
    pool = client.api.rest_client.pool_manager
    answer = pool.request(
        "GET",
        f"{client.api.configuration.host}{path}&watch=true&timeoutSeconds={SECONDS_MAX}",
        preload_content=False,
    )
    left = b""
    try:
        assert answer.status == 200, answer.data
        for chunk in answer.stream():
            *lines, left = (left + chunk).split(b"\n")
            yield from (json.loads(line) for line in lines if line)
    finally:
        answer.close()


def eventually(what: str, holds: Callable[[], Any]) -> Any:
    """Ask until the answer is true."""
    deadline = time.monotonic() + SECONDS_MAX
    while not (answer := holds()):
        assert time.monotonic() < deadline, f"{what}: not within {SECONDS_MAX} s"
        time.sleep(0.05)
    return answer


def holds(found: Any, wanted: Any) -> None:
    """Every leaf of ``wanted`` is in ``found``."""
    if isinstance(wanted, dict):
        for name, value in wanted.items():
            holds(found.get(name), value)
    elif isinstance(wanted, list):
        assert isinstance(found, list)
        for one, other in zip(found, wanted, strict=False):
            holds(one, other)
    else:
        assert found == wanted
