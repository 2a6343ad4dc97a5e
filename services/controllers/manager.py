"""The list of controllers, and how they run: caches first, then every loop.

::

    build ─┬─▶ World.run   caches follow the API, until cancelled
           └─▶ lead        loops, once the caches are synced

The two are apart, so that several processes may follow and one of them lead.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from pilothouse.services.controllers.adapters import (
    accounts,
    budgets,
    certificates,
    cronjobs,
    daemonsets,
    deployments,
    evictions,
    garbage,
    jobpods,
    jobs,
    mirrors,
    namespaces,
    nodes,
    protections,
    quotas,
    ranges,
    replicas,
    services,
    statefulsets,
    trust,
)
from pilothouse.services.controllers.adapters.authority import Signing
from pilothouse.services.controllers.adapters.world import Controller, World


@dataclass(frozen=True, slots=True)
class Settings:
    """What some controllers are told; without a certificate or a CIDR theirs do not run."""

    certificate: str
    cluster_cidr: IPv4Network | IPv6Network | None
    node_mask: int = 24
    node_grace_seconds: float = 50.0
    signing: Signing | None = None


Build = Callable[[World, Settings], Controller | None]

CONTROLLERS: Mapping[str, Build] = {
    "replicaset": lambda world, _: replicas.replicaset(world),
    "replicationcontroller": lambda world, _: replicas.replicationcontroller(world),
    "deployment": lambda world, _: deployments.deployment(world),
    "statefulset": lambda world, _: statefulsets.statefulset(world),
    "job": lambda world, _: jobs.job(world),
    "job-untracking": lambda world, _: jobpods.untracking(world),
    "cronjob": lambda world, _: cronjobs.cronjob(world),
    "ttl-after-finished": lambda world, _: cronjobs.ttl_after_finished(world),
    "daemonset": lambda world, _: daemonsets.daemonset(world),
    "endpoints": lambda world, _: services.endpoints_controller(world),
    "endpointslice": lambda world, _: services.endpointslice(world),
    "service-cidr": lambda world, _: ranges.servicecidr(world),
    "endpointslicemirroring": lambda world, _: mirrors.endpointslicemirroring(world),
    "serviceaccount": lambda world, _: accounts.account(world),
    "serviceaccount-token": lambda world, told: (
        accounts.tokens(world, told.certificate) if told.certificate else None
    ),
    "root-ca-certificate-publisher": lambda world, told: (
        accounts.root_ca(world, told.certificate) if told.certificate else None
    ),
    "csrapproving": lambda world, _: certificates.approving(world),
    "csrsigning": lambda world, told: (
        certificates.signing(world, told.signing) if told.signing else None
    ),
    "csrcleaner": lambda world, _: certificates.cleaning(world),
    "clusterrole-aggregation": lambda world, _: trust.aggregation(world),
    "tokencleaner": lambda world, _: trust.bootstrap_tokens(world),
    "namespace": lambda world, _: namespaces.namespace(world),
    "nodelifecycle": lambda world, told: nodes.lifecycle(world, told.node_grace_seconds),
    "nodeipam": lambda world, told: (
        nodes.ipam(world, told.cluster_cidr, told.node_mask) if told.cluster_cidr else None
    ),
    "taint-eviction": lambda world, _: evictions.taints(world),
    "podgc": lambda world, _: evictions.podgc(world),
    "persistentvolumeclaim-protection": lambda world, _: protections.claims(world),
    "persistentvolume-protection": lambda world, _: protections.persistent_volumes(world),
    "volumeattributesclass-protection": lambda world, _: protections.classes(world),
    "disruption": lambda world, _: budgets.disruption(world),
    "resourcequota": lambda world, _: quotas.resourcequota(world),
    # Last: it shares whatever caches the others made.
    "garbagecollector": lambda world, _: garbage.collector(world),
}


def chosen(words: Iterable[str]) -> frozenset[str]:
    """``*``, names and ``-names``, as ``--controllers`` takes them; ValueError on a stranger."""
    names: set[str] = set()
    dropped: set[str] = set()
    for word in (word.strip() for word in words):
        if word == "*":
            names |= CONTROLLERS.keys()
        elif word.removeprefix("-") not in CONTROLLERS:
            raise ValueError(f"{word!r} is no controller; there are {', '.join(CONTROLLERS)}")
        elif word.startswith("-"):
            dropped.add(word[1:])
        else:
            names.add(word)
    return frozenset(names - dropped)


def build(world: World, settings: Settings, names: frozenset[str]) -> dict[str, Controller]:
    """The controllers of these names, wired to one set of caches."""
    built = {name: make(world, settings) for name, make in CONTROLLERS.items() if name in names}
    return {name: controller for name, controller in built.items() if controller is not None}


async def lead(world: World, controllers: Iterable[Controller]) -> None:
    """Run every loop once the caches are synced, until cancelled; :meth:`World.run` beside it."""
    await world.wait_synced()
    async with asyncio.TaskGroup() as group:
        for controller in controllers:
            group.create_task(controller.loop.run())
