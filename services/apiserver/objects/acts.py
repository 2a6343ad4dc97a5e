"""Creations that store nothing of their own: binding, eviction, tokens, reviews."""

from collections.abc import Mapping
from typing import Any

import msgspec

from pilothouse.services.apiserver.admission import topology
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects import binding, metadata, refusals
from pilothouse.services.apiserver.objects.decoding import decode
from pilothouse.services.apiserver.objects.evictions import Evictions, options_of
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.objects.removals import Removals
from pilothouse.services.apiserver.objects.served import Kinds
from pilothouse.services.apiserver.objects.writes import Change, Writes
from pilothouse.services.apiserver.requests import (
    Stored,
    Target,
    User,
    WriteOptions,
    Written,
)
from pilothouse.services.machinery.errors import BadRequest, MethodNotAllowed

Document = dict[str, Any]

_BINDING = Kind(
    "", "v1", "bindings", "binding", "Binding", namespaced=True, definition=binding.DEFINITION
)
_EVICTION = Kind(
    "policy", "v1", "evictions", "eviction", "Eviction", namespaced=True,
    definition="io.k8s.api.policy.v1.Eviction",
)  # fmt: skip
_TOKEN = Kind(
    "authentication.k8s.io", "v1", "tokenrequests", "tokenrequest", "TokenRequest",
    namespaced=True, definition="io.k8s.api.authentication.v1.TokenRequest",
)  # fmt: skip
_DONE = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Success",
    "code": 201,
}


class Acts:
    """What ``POST`` on a subresource, or on a computed kind, does."""

    def __init__(self, parts: Parts, kinds: Kinds, writes: Writes, removals: Removals) -> None:
        self._parts = parts
        self._kinds = kinds
        self._writes = writes
        self._evictions = Evictions(parts, kinds, writes, removals)

    async def create(
        self, user: User, kind: Kind, target: Target, body: Document, options: WriteOptions
    ) -> Written:
        """Act on ``target``; the answer is a Status, a TokenRequest or the review."""
        match target.subresource or kind.native:
            case "binding" | "bindings":
                return await self._bind(user, target, body, options)
            case "eviction":
                return await self._evict(user, kind, target, body, options)
            case "token":
                return await self._token(kind, target, body, options)
        computed = self._parts.computed.get(kind.plural)
        if computed is None or target.subresource:
            raise refusals.not_allowed(kind, "create", target.subresource)
        warnings = decode(self._parts.walkers, kind, body, options.field_validation)
        return _answer(target, await computed.create(user, target, body), warnings)

    async def _bind(
        self, user: User, target: Target, body: Document, options: WriteOptions
    ) -> Written:
        warnings = decode(self._parts.walkers, _BINDING, body, options.field_validation)
        _same_name(body, target, "Binding")
        metadata.place(_BINDING, target.namespace, target.name, body)
        pods = self._parts.catalog.lookup("", "v1", "pods")
        named = Target("", "v1", "pods", target.namespace, body["metadata"].get("name", ""))
        now = self._parts.clock.now()
        topology.place(self._parts.cache, body)

        def build(pod: Document) -> Document:
            return binding.bound(pods, pod, body, now)

        served = self._kinds.served(pods)
        change = Change(user, served, named.key, build, "binding", dry_run=options.dry_run)
        await self._writes.change(change)
        return _answer(target, _DONE, warnings)

    async def _evict(
        self, user: User, kind: Kind, target: Target, body: Document, options: WriteOptions
    ) -> Written:
        warnings = decode(self._parts.walkers, _EVICTION, body, options.field_validation)
        _same_name(body, target, "Eviction")
        metadata.place(_EVICTION, target.namespace, target.name, body)
        deletion = options_of(body, dry_run=options.dry_run)
        await self._evictions.evict(user, kind, target, deletion)
        return _answer(target, _DONE, warnings)

    async def _token(
        self, kind: Kind, target: Target, body: Document, options: WriteOptions
    ) -> Written:
        warnings = decode(self._parts.walkers, _TOKEN, body, options.field_validation)
        item = self._kinds.served(kind).objects.get(target.key)
        if item is None:
            raise refusals.not_found(kind, target.name)
        account = msgspec.json.decode(item.stored.json)
        return _answer(target, await self._parts.tokens.issue(account, body), warnings)


def _answer(target: Target, document: Mapping[str, Any], warnings: tuple[str, ...]) -> Written:
    stored = Stored(target.key, 0, msgspec.json.encode(document))
    return Written(stored, created=True, warnings=warnings)


def refuse_connect(kind: Kind, subresource: str) -> MethodNotAllowed:
    """Streams do not pass through the registry."""
    return MethodNotAllowed(f"{kind.qualified}/{subresource} is a stream, not an object")


def _same_name(body: Document, target: Target, kind: str) -> None:
    name = (body.get("metadata") or {}).get("name")
    if name and target.name and name != target.name:
        raise BadRequest(f"name in URL does not match name in {kind} object")
