"""May this user do this: masters always, then kubelets for themselves, then what RBAC grants."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from pilothouse.services.apiserver.chain import nodes
from pilothouse.services.apiserver.chain.attributes import (
    Attributes,
    Decision,
    attributes_of,
    forbidden,
)
from pilothouse.services.apiserver.chain.ports import Live
from pilothouse.services.apiserver.chain.rbac import (
    Document,
    Grant,
    Policy,
    Sources,
    compile_policy,
)
from pilothouse.services.apiserver.chain.roles import GROUP
from pilothouse.services.apiserver.requests import Target, User

MASTERS = "system:masters"
_KINDS = ("clusterroles", "roles", "clusterrolebindings", "rolebindings")


class Authorization:
    """Each authorizer in turn; the first that allows ends the search."""

    def __init__(self, live: Live, bindings: nodes.Bindings) -> None:
        self._live = live
        self._bindings = bindings
        self._policy = Policy()
        self._marks: tuple[int, ...] = ()

    async def allow(self, user: User, verb: str, target: Target) -> None:
        """Return when ``user`` may, else raise Forbidden."""
        self.require(user, attributes_of(verb, target))

    def require(self, user: User, attributes: Attributes) -> None:
        """Return when ``user`` may, else raise Forbidden."""
        decision = self.decide(user, attributes)
        if not decision.allowed:
            raise forbidden(user, attributes, decision.reason)

    def decide(self, user: User, attributes: Attributes) -> Decision:
        """Whether, and by what or why not."""
        if MASTERS in user.groups:
            return Decision(allowed=True)
        own = nodes.decide(user, attributes, self._bindings)
        if own.allowed:
            return own
        granted = self._current_policy().decide(user, attributes)
        return granted if granted.allowed else own

    def grants(self, user: User, namespace: str) -> Iterator[Grant]:
        """What RBAC hands ``user`` in ``namespace``."""
        return self._current_policy().grants_of(user, namespace)

    def held(self, user: User, namespace: str) -> Iterator[Document]:
        """The rules of those grants, as they are written."""
        for grant in self.grants(user, namespace):
            yield from grant.documents

    def _current_policy(self) -> Policy:
        marks = tuple(self._live.mark(GROUP, kind) for kind in _KINDS)
        if marks != self._marks:
            cluster_roles, roles, cluster_bindings, bindings = map(self._documents, _KINDS)
            self._policy = compile_policy(Sources(cluster_roles, roles, cluster_bindings, bindings))
            self._marks = marks
        return self._policy

    def _documents(self, kind: str) -> Iterable[dict[str, Any]]:
        return [msgspec.json.decode(stored.json) for stored in self._live.objects(GROUP, kind)]
