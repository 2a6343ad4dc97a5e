"""
Role aggregation: a ClusterRole with ``aggregationRule`` has the rules of those it selects.

Reads   ClusterRole
Writes  ClusterRole (rules)
Again   never: whatever matters is a change
"""

from collections.abc import Iterable
from typing import Any, Protocol

from pilothouse.services.machinery import labels
from pilothouse.services.machinery.kinds.identity import ClusterRole
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

Rules = tuple[dict[str, Any], ...]


def plan(role: ClusterRole, all_roles: Iterable[ClusterRole]) -> Rules | None:
    """The rules that it shall have; None when it has them, or none are chosen for it."""
    if role.aggregation_rule is None or role.metadata.deleting:
        return None
    roles = sorted(all_roles, key=lambda item: item.metadata.name)
    rules: list[dict[str, Any]] = []
    for wanted in role.aggregation_rule.cluster_role_selectors:
        selector = labels.compile_selector(wanted)
        for other in roles:
            if other.metadata.name == role.metadata.name or selector is None:
                continue
            if selector.matches(other.metadata.labels):
                rules += [rule for rule in other.rules or () if rule not in rules]
    return None if tuple(rules) == (role.rules or ()) else tuple(rules)


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> ClusterRole | None: ...
    def roles(self) -> Iterable[ClusterRole]: ...
    async def write(self, role: ClusterRole, rules: Rules) -> None: ...


class AggregationController:
    """Keeps aggregated roles complete."""

    name = "clusterrole-aggregation"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        role = self._cluster.find(key)
        if role is None:
            return DONE
        rules = plan(role, self._cluster.roles())
        if rules is not None:
            await self._cluster.write(role, rules)
        return DONE
