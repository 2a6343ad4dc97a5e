"""The list of controllers, and how they run: caches first, then every loop.

::

    build ─┬─▶ World.run   caches follow the API, until cancelled
           └─▶ lead        loops, once the caches are synced

The two are apart, so that several processes may follow and one of them lead.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pilothouse.services.controllers import names
from pilothouse.services.controllers.adapters.autoscaling import autoscalers
from pilothouse.services.controllers.adapters.autoscaling.metrics import RestMetrics
from pilothouse.services.controllers.adapters.devices import devicetaints, resourceclaims
from pilothouse.services.controllers.adapters.identity import (
    accounts,
    bundles,
    certificates,
    legacytokens,
    trust,
)
from pilothouse.services.controllers.adapters.identity.authority import Signing
from pilothouse.services.controllers.adapters.network import mirrors, ranges, services
from pilothouse.services.controllers.adapters.node import (
    evictions,
    noderanges,
    nodes,
    nodettl,
    orphans,
)
from pilothouse.services.controllers.adapters.objects import garbage, namespaces
from pilothouse.services.controllers.adapters.policy import (
    budgets,
    quotas,
    staledisruptions,
    validating,
)
from pilothouse.services.controllers.adapters.rest import Server
from pilothouse.services.controllers.adapters.storage import (
    attachments,
    binding,
    ephemeral,
    expansion,
    migrations,
    protections,
)
from pilothouse.services.controllers.adapters.workload import (
    cronjobs,
    daemonsets,
    deployments,
    jobpods,
    jobs,
    replicas,
    statefulsets,
)
from pilothouse.services.controllers.adapters.world import Controller, World
from pilothouse.services.controllers.autoscaling.sizes import verdict
from pilothouse.services.controllers.node.pools import Network, Range
from pilothouse.services.controllers.node.zones import Patience
from pilothouse.services.runtime.control import measures
from pilothouse.services.runtime.exposition import Family


@dataclass(frozen=True, slots=True)
class Settings:
    """What some controllers are told; without a certificate or a CIDR theirs do not run.

    ``cluster_cidr``: addresses of pods, by family; none that are ``service_cidr``'s are given.

    ``workers`` is how many keys a controller works on at once, of those that are told it.
    """

    certificate: str
    cluster_cidr: tuple[Range, ...] | None
    service_cidr: tuple[Network, ...] = ()
    endpoints_max: int = 100
    mirrored_max: int = 1000
    patience: Patience = field(default_factory=Patience)
    terminated_pods_max: int = 12_500
    unused_tokens_seconds: float = 365 * 24 * 3600.0
    quota_sync_seconds: float = 300.0
    signing: Mapping[str, Signing] = field(default_factory=dict)
    server: Server | None = None
    autoscaling: verdict.Settings = field(default_factory=verdict.Settings)
    provision_volumes: bool = True
    workers: Mapping[str, int] = field(default_factory=dict)


MANAGER = "kube-controller-manager"
PEM = "-----BEGIN CERTIFICATE-----"

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
    "endpointslice": lambda world, told: services.endpointslice(world, told.endpoints_max),
    "service-cidr": lambda world, _: ranges.servicecidr(world),
    "endpointslicemirroring": lambda world, told: mirrors.endpointslicemirroring(
        world, told.mirrored_max
    ),
    "serviceaccount": lambda world, _: accounts.account(world),
    "serviceaccount-token": lambda world, told: accounts.tokens(world, told.certificate),
    "root-ca-certificate-publisher": lambda world, told: (
        accounts.root_ca(world, told.certificate) if told.certificate else None
    ),
    "csrapproving": lambda world, _: certificates.approving(world),
    "csrsigning": lambda world, told: (
        certificates.signing(world, told.signing) if told.signing else None
    ),
    "csrcleaner": lambda world, _: certificates.cleaning(world),
    "podcertificaterequest-cleaner": lambda world, _: bundles.cleaning(world),
    "clustertrustbundle-publisher": lambda world, told: (
        bundles.publisher(world, told.certificate) if PEM in told.certificate else None
    ),
    "clusterrole-aggregation": lambda world, _: trust.aggregation(world),
    "bootstrapsigner": lambda world, _: trust.bootstrapsigner(world),
    "tokencleaner": lambda world, _: trust.tokencleaner(world),
    "legacy-serviceaccount-token-cleaner": lambda world, told: legacytokens.cleaner(
        world, told.unused_tokens_seconds
    ),
    "namespace": lambda world, _: namespaces.namespace(world),
    "nodelifecycle": lambda world, told: nodes.lifecycle(world, told.patience),
    "nodeipam": lambda world, told: (
        noderanges.ipam(world, told.cluster_cidr, told.service_cidr) if told.cluster_cidr else None
    ),
    "ttl": lambda world, _: nodettl.annotations(world),
    "taint-eviction": lambda world, _: evictions.taints(world),
    "podgc": lambda world, told: orphans.podgc(world, told.terminated_pods_max),
    "persistentvolume-binder": lambda world, told: binding.binder(
        world, provision=told.provision_volumes
    ),
    "ephemeral-volume": lambda world, _: ephemeral.ephemeral(world),
    "attachdetach": lambda world, _: attachments.attachdetach(world),
    "persistentvolume-expander": lambda world, _: expansion.expander(world),
    "persistentvolumeclaim-protection": lambda world, _: protections.claims(world),
    "persistentvolume-protection": lambda world, _: protections.persistent_volumes(world),
    "volumeattributesclass-protection": lambda world, _: protections.classes(world),
    "horizontal-pod-autoscaler": lambda world, told: autoscalers.autoscaler(
        world, RestMetrics(told.server), told.autoscaling
    ),
    "resourceclaim": lambda world, _: resourceclaims.creation(world),
    "resourceclaim-reservations": lambda world, _: resourceclaims.release(world),
    "device-taint-eviction": lambda world, _: devicetaints.eviction(world),
    "disruption": lambda world, _: budgets.disruption(world),
    "stale-pod-disruption": lambda world, _: staledisruptions.stale_disruptions(world),
    "storage-version-migrator": lambda world, _: migrations.migrator(world),
    "validatingadmissionpolicy-status": lambda world, told: validating.status(world, told.server),
    "resourcequota": lambda world, told: quotas.resourcequota(world, told.quota_sync_seconds),
    # Last: it shares whatever caches the others made.
    "garbagecollector": lambda world, _: garbage.collector(world),
}


def chosen(words: Iterable[str]) -> frozenset[str]:
    """As ``--controllers`` takes them; ValueError on a stranger."""
    return names.chosen(words, CONTROLLERS)


def build(world: World, settings: Settings, wanted: frozenset[str]) -> dict[str, Controller]:
    """The controllers of these names, wired to one set of caches."""
    built: dict[str, Controller] = {}
    for name, make in CONTROLLERS.items():
        controller = make(world, settings) if name in wanted else None
        if controller is not None:
            controller.loop.workers = settings.workers.get(name, controller.loop.workers)
            built[name] = controller
    return built


def measured(controllers: Mapping[str, Controller]) -> Callable[[], Iterable[Family]]:
    """What is counted of all queues, and by controllers, gathered when it is asked for."""
    loops = {names.queue(name): item.loop for name, item in controllers.items()}

    def told() -> Iterable[Family]:
        yield from measures.families(loops, asyncio.get_running_loop().time())
        running = Family("running_managed_controllers", "gauge", "1 for each that runs here.")
        for name, item in controllers.items():
            running.add(item.loop.running, ("manager", MANAGER), ("name", names.full(name)))
        yield running
        for item in controllers.values():
            yield from item.measured()

    return told


async def lead(world: World, controllers: Iterable[Controller]) -> None:
    """Run every loop once the caches are synced, until cancelled; :meth:`World.run` beside it."""
    world.renew()
    await world.wait_synced()
    async with asyncio.TaskGroup() as group:
        for controller in controllers:
            group.create_task(controller.loop.run())
