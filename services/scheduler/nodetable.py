"""All nodes as numpy columns, and the pods on them: what every plugin looks at.

A row is a node; a change costs what changed, never the number of nodes or pods. Pods whose node is
not (yet) known wait beside the table and count from the moment it appears.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from pilothouse.services.machinery import quantity
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.objects import Key
from pilothouse.services.scheduler.candidate import Candidate, Group, Term
from pilothouse.services.scheduler.columns import Columns, Ids
from pilothouse.services.scheduler.groups import Repulsions, Spot, Tallies
from pilothouse.services.scheduler.hostports import HostPorts
from pilothouse.services.scheduler.labelcolumns import LabelColumns
from pilothouse.services.scheduler.resources import ResourceColumns
from pilothouse.services.scheduler.taints import TaintColumn
from pilothouse.services.scheduler.volumetable import VolumeTable


class NodeTable:
    """``names[row]`` and ``rows[name]`` lead from rows to nodes and back; rows move on removal."""

    def __init__(self) -> None:
        self.columns = Columns()
        self.names: list[str] = []
        self.rows: dict[str, int] = {}
        self.resources = ResourceColumns(self.columns)
        self.labels = LabelColumns(self.columns)
        self.taints = TaintColumn(self.columns)
        self.unschedulable = self.columns.add(np.bool_)
        self.ports = HostPorts()
        self.volumes = VolumeTable()
        self._labels: dict[str, Mapping[str, str]] = {}
        self._tallies = Tallies(self.columns)
        self._repulsions = Repulsions(self.columns)
        self._namespaces: dict[str, Mapping[str, str]] = {}
        self._placed: dict[Key, tuple[Candidate, str]] = {}
        self._on_node: dict[str, dict[Key, Candidate]] = {}
        self._of_owner: dict[str, dict[Key, None]] = {}

    def __len__(self) -> int:
        return len(self.names)

    def put_node(self, node: Node) -> bool:
        """Add or change a node; whether anything that decisions read changed."""
        name = node.metadata.name
        row = self.rows.get(name)
        new = row is None
        if row is None:
            row = self.rows[name] = self.columns.append()
            self.names.append(name)
            self._labels[name] = {}
        amounts = {
            key: quantity.milli(amount) if key == "cpu" else quantity.ceiling(amount)
            for key, amount in node.status.allocatable.items()
        }
        changed = self.resources.offer(row, amounts)
        changed |= self.labels.put(row, self._labels[name], node.metadata.labels)
        changed |= self.taints.put(row, node.spec.taints)
        changed |= bool(self.unschedulable.cells[row]) != node.spec.unschedulable
        self.unschedulable.cells[row] = node.spec.unschedulable
        self._labels[name] = node.metadata.labels
        if new:
            for pod in self._on_node.get(name, {}).values():
                self._count((pod, row))
        return changed or new

    def drop_node(self, name: str) -> None:
        """Take a node out; its pods wait for it to come back or to go themselves."""
        row = self.rows[name]
        for pod in self._on_node.get(name, {}).values():
            self._discount((pod, row))
        self.taints.clear(row)
        del self.rows[name], self._labels[name]
        last = self.columns.remove(row)
        moved = self.names.pop()
        if last != row:
            self.names[row] = moved
            self.rows[moved] = row

    def place(self, pod: Candidate, node: str) -> None:
        """Count a pod on a node, in place of what was known of that pod."""
        before = self._placed.get(pod.key)
        if before is not None:
            if before == (pod, node):
                return
            self.remove(pod.key)
        self._placed[pod.key] = pod, node
        self._on_node.setdefault(node, {})[pod.key] = pod
        if pod.claims:
            self.volumes.use(pod)
        if pod.owner:
            self._of_owner.setdefault(pod.owner, {})[pod.key] = None
        row = self.rows.get(node)
        if row is not None:
            self._count((pod, row))

    def remove(self, key: Key) -> bool:
        """The pod no longer counts; whether it did."""
        before = self._placed.pop(key, None)
        if before is None:
            return False
        pod, node = before
        del self._on_node[node][key]
        if not self._on_node[node]:
            del self._on_node[node]
        if pod.claims:
            self.volumes.leave(pod)
        if pod.owner:
            del self._of_owner[pod.owner][key]
            if not self._of_owner[pod.owner]:
                del self._of_owner[pod.owner]
        row = self.rows.get(node)
        if row is not None:
            self._discount((pod, row))
        return True

    def placed(self, key: Key) -> tuple[Candidate, str] | None:
        """The pod as counted and its node's name."""
        return self._placed.get(key)

    def put_namespace(self, name: str, labels: Mapping[str, str] | None) -> None:
        """A namespace has these labels; None: it is gone."""
        if labels is None:
            self._namespaces.pop(name, None)
        elif self._namespaces.get(name) == labels:
            return
        else:
            self._namespaces[name] = labels
        self._tallies.forget_namespaces()

    def pods_of_owner(self, uid: str) -> Ids:
        """How many live pods of this owner each node has."""
        keys = self._of_owner.get(uid, {})
        return self._tallies.of_owner(uid, self._spots(keys))

    def pods_of_group(self, group: Group) -> Ids:
        """How many pods of this group each node has."""
        return self._tallies.of_group(group, self._spots(self._placed), self._namespaces)

    def repelled_by(self, pod: Candidate) -> list[tuple[Term, Ids]]:
        """Required anti-affinity of placed pods that means this one; carriers on each node."""
        return self._repulsions.against(pod, self._namespaces)

    def on_node(self, name: str) -> list[Candidate]:
        """The pods counted on a node."""
        return list(self._on_node.get(name, {}).values())

    @property
    def namespaces(self) -> Mapping[str, Mapping[str, str]]:
        """The labels of all namespaces."""
        return self._namespaces

    def _spots(self, keys: Mapping[Key, object]) -> Iterator[Spot]:
        for key in keys:
            pod, node = self._placed[key]
            row = self.rows.get(node)
            if row is not None:
                yield pod, row

    def _count(self, spot: Spot) -> None:
        pod, row = spot
        self.resources.take(row, pod)
        self._tallies.add(spot, self._namespaces)
        if pod.host_ports:
            self.ports.take(self.names[row], pod.host_ports)
        if pod.neighbours.apart:
            self._repulsions.add(spot)

    def _discount(self, spot: Spot) -> None:
        pod, row = spot
        self.resources.take(row, pod, -1)
        self._tallies.add(spot, self._namespaces, -1)
        if pod.host_ports:
            self.ports.release(self.names[row], pod.host_ports)
        if pod.neighbours.apart:
            self._repulsions.remove(spot)
