"""The table as a value: which elements, chains and sets stand for a rule.

A plain port (no affinity, no Local policy) is data only: an element in a verdict map sends the
packet to a chain shared by every port with as many endpoints, and that chain looks one of them up
by (address, port, random number). So 5,000 Services are a handful of chains, and one
endpoint more or less is a few elements::

    services       10.96.0.7 . tcp . 80  : goto tcp-pick-2
    tcp-endpoints  10.96.0.7 . 80 . 0    : 10.244.1.5 . 8080
    tcp-endpoints  10.96.0.7 . 80 . 1    : 10.244.2.9 . 8080

A port with affinity or a Local policy gets chains of its own. Traffic that no one can answer is
found in ``unserved`` before any translation.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pilothouse.services.proxy.rules import Backend, PortRule

MASQUERADE_BIT = 0x4000
MASQUERADE = f"meta mark set meta mark or {MASQUERADE_BIT:#x}"
CLIENTS_MAX = 65536


class Slot(NamedTuple):
    """The place of an element: a map or set of the table, and the key in it."""

    map: str
    key: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What stands in the table beside its frame.

    ``elements`` holds each slot's value (empty in a set), ``chains`` each chain's statements,
    ``client_sets`` the sets that remember clients.
    """

    elements: Mapping[Slot, str] = field(default_factory=dict)
    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    client_sets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Draft:
    elements: dict[Slot, str] = field(default_factory=dict)
    chains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    client_sets: set[str] = field(default_factory=set)


def contents(rules: Iterable[PortRule], cluster_cidr: str) -> Contents:
    """The contents for ``rules``; clients outside ``cluster_cidr`` (if given) are masqueraded."""
    draft = _Draft()
    for rule in rules:
        if not rule.endpoints:
            _refuse(draft, rule)
        elif rule.affinity_seconds or rule.internal_local or _external_local(rule):
            _own_chains(draft, rule, cluster_cidr)
        else:
            _shared_chains(draft, rule, cluster_cidr)
        for backend in {*rule.endpoints, *rule.local}:
            draft.elements[Slot("hairpins", f"{backend.address} . {backend.address}")] = ""
    return Contents(draft.elements, draft.chains, frozenset(draft.client_sets))


def _external_local(rule: PortRule) -> bool:
    return rule.external_local and bool(rule.node_port or rule.external_ips)


def _at(rule: PortRule, address: str) -> str:
    return f"{address} . {rule.protocol} . {rule.port}"


def _at_node(rule: PortRule) -> str:
    return f"{rule.protocol} . {rule.node_port}"


def _refuse(draft: _Draft, rule: PortRule) -> None:
    for address in (rule.cluster_ip, *rule.external_ips):
        draft.elements[Slot("unserved", _at(rule, address))] = "goto refuse"
    if rule.node_port:
        draft.elements[Slot("unserved-nodeports", _at_node(rule))] = "goto refuse"


def _shared_chains(draft: _Draft, rule: PortRule, cluster_cidr: str) -> None:
    for address in (rule.cluster_ip, *rule.external_ips):
        if address == rule.cluster_ip:
            kind, first = "pick", _mark_outside(cluster_cidr)
        else:
            kind, first = "external-pick", (MASQUERADE,)
        key, map_ = f"ip daddr . {rule.protocol} dport", f"{rule.protocol}-endpoints"
        chain = _shared_chain(draft, rule, kind, first, f"{key} . {{}} map @{map_}")
        draft.elements[Slot("services", _at(rule, address))] = f"goto {chain}"
        _number(draft, map_, f"{address} . {rule.port}", rule.endpoints)
    if rule.node_port:
        key, map_ = f"{rule.protocol} dport", f"node-{rule.protocol}-endpoints"
        chain = _shared_chain(draft, rule, "node-pick", (MASQUERADE,), f"{key} . {{}} map @{map_}")
        draft.elements[Slot("nodeports", _at_node(rule))] = f"goto {chain}"
        _number(draft, map_, str(rule.node_port), rule.endpoints)


def _number(draft: _Draft, map_: str, at: str, backends: tuple[Backend, ...]) -> None:
    for number, backend in enumerate(backends):
        draft.elements[Slot(map_, f"{at} . {number}")] = f"{backend.address} . {backend.port}"


def _shared_chain(
    draft: _Draft, rule: PortRule, kind: str, first: tuple[str, ...], lookup: str
) -> str:
    """The name of the chain that every port with as many endpoints shares.

    A packet that is on its way while elements change may find its number gone: it then takes number
    0, and if that is gone too it is dropped, so that the client's next try is judged anew.
    """
    count = len(rule.endpoints)
    name = f"{rule.protocol}-{kind}-{count}"
    choices = [f"numgen random mod {count}"] + (["numgen random mod 1"] if count > 1 else [])
    draft.chains[name] = (*first, *(f"dnat to {lookup.format(c)}" for c in choices), "drop")
    return name


def _mark_outside(cluster_cidr: str) -> tuple[str, ...]:
    return (f"ip saddr != {cluster_cidr} {MASQUERADE}",) if cluster_cidr else ()


def _own_chains(draft: _Draft, rule: PortRule, cluster_cidr: str) -> None:
    of = f"{rule.namespace}/{rule.service}/{rule.protocol}/{rule.port}"
    outside = _mark_outside(cluster_cidr)
    internal = rule.local if rule.internal_local else rule.endpoints
    at = _at(rule, rule.cluster_ip)
    if internal:
        draft.chains[f"service-{of}"] = (*outside, *_pick(draft, rule, of, internal))
        draft.elements[Slot("services", at)] = f"goto service-{of}"
    else:
        draft.elements[Slot("unserved", at)] = "goto refuse"
    if not (rule.node_port or rule.external_ips):
        return
    draft.chains[f"external-{of}"] = _external(draft, rule, of, cluster_cidr)
    for address in rule.external_ips:
        draft.elements[Slot("services", _at(rule, address))] = f"goto external-{of}"
    if rule.node_port:
        draft.elements[Slot("nodeports", _at_node(rule))] = f"goto external-{of}"


def _external(draft: _Draft, rule: PortRule, of: str, cluster_cidr: str) -> tuple[str, ...]:
    """Traffic to the node port or an external address.

    Under the Local policy clients outside keep their address and reach this node's endpoints only;
    pods and the node itself still reach all.
    """
    everywhere = _pick(draft, rule, of, rule.endpoints)
    if not rule.external_local:
        return (MASQUERADE, *everywhere)
    draft.chains[f"cluster-{of}"] = (*_mark_outside(cluster_cidr), *everywhere)
    insiders = [f"ip saddr {cluster_cidr} goto cluster-{of}"] if cluster_cidr else []
    local = _pick(draft, rule, of, rule.local) if rule.local else ("drop",)
    return (*insiders, f"fib saddr type local goto cluster-{of}", *local)


def _pick(draft: _Draft, rule: PortRule, of: str, backends: tuple[Backend, ...]) -> tuple[str, ...]:
    """Statements that send the packet to one of ``backends``."""
    random = f"numgen random mod {len(backends)}"
    if not rule.affinity_seconds:
        targets = ", ".join(f"{i} : {b.address} . {b.port}" for i, b in enumerate(backends))
        return (f"meta l4proto {rule.protocol} dnat to {random} map {{ {targets} }}",)
    ends = [f"{of}/{backend.address}/{backend.port}" for backend in backends]
    for end, backend in zip(ends, backends, strict=True):
        draft.client_sets.add(f"clients-{end}")
        draft.chains[f"endpoint-{end}"] = (
            f"update @clients-{end} {{ ip saddr timeout {rule.affinity_seconds}s }}",
            f"meta l4proto {rule.protocol} dnat to {backend.address}:{backend.port}",
        )
    verdicts = ", ".join(f"{number} : goto endpoint-{end}" for number, end in enumerate(ends))
    known = (f"ip saddr @clients-{end} goto endpoint-{end}" for end in ends)
    return (*known, f"{random} vmap {{ {verdicts} }}")
