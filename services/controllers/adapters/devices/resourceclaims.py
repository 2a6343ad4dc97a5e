"""Claims of devices: those that pods are given, and those that they let go."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from pilothouse.services.controllers.adapters import indexes, wiring
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.world import (
    Controller,
    World,
    controller,
    reference,
)
from pilothouse.services.controllers.devices import reservations, resourceclaim
from pilothouse.services.controllers.devices.reservations import ReservationController
from pilothouse.services.controllers.devices.resourceclaim import ResourceClaimController
from pilothouse.services.machinery.errors import ApiError, NotFound
from pilothouse.services.machinery.kinds import devices
from pilothouse.services.machinery.kinds.devices import ResourceClaim, ResourceClaimTemplate
from pilothouse.services.machinery.kinds.pods import Pod, PodClaim
from pilothouse.services.machinery.objects import Key, Object, owner_reference
from pilothouse.services.machinery.resources import (
    PODS,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_CLAIMS,
)
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.control.queue import WorkQueue
from pilothouse.services.runtime.control.settled import Settled
from pilothouse.services.runtime.exposition import Family

NAMED = "resource-claim"
TEMPLATED = "resource-claim-template"

_CLAIM = msgspec.json.Decoder(ResourceClaim)
_OBJECT = msgspec.json.Decoder(Object)


class Claims:
    """What the controller asks for that makes claims."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._recorder = world.recorder("resource_claim")
        self._pods = world.cache(PODS, Pod)
        self._claims = world.cache(RESOURCE_CLAIMS, ResourceClaim)
        self._templates = world.cache(RESOURCE_CLAIM_TEMPLATES, ResourceClaimTemplate)
        self._settled = Settled(self._claims)
        self._made: Counter[str] = Counter()
        indexes.add_controller(self._claims)

    def pod(self, key: Key) -> Pod | None:
        pod = self._pods.get(key)
        if pod is None:
            self._settled.forget(key)
        return pod

    def settled(self, key: Key) -> bool:
        return self._settled.is_settled(key)

    def claims(self, pod: Pod) -> tuple[Mapping[str, ResourceClaim], Sequence[ResourceClaim]]:
        namespace = pod.metadata.namespace
        named = (
            (name, self._claims.get(Key(namespace, name))) for name in devices.claim_names(pod)
        )
        found = {name: claim for name, claim in named if claim is not None}
        return found, self._claims.by_index(indexes.CONTROLLER, pod.metadata.uid)

    async def create(self, pod: Pod, wanted: PodClaim) -> str:
        try:
            template = self._template(pod, wanted)
            body = _body(pod, wanted, template)
            answer = await self._objects.create(RESOURCE_CLAIMS, pod.metadata.namespace, body)
        except ApiError as error:
            text = f"PodResourceClaim {wanted.name}: {error.message}"
            about = reference(PODS, pod.metadata)
            self._recorder.note(about, "Warning", "FailedResourceClaimCreation", text)
            self._made["failure"] += 1
            raise
        self._made["success"] += 1
        return self._settled.wrote(pod.metadata.key, answer).name

    async def tell(self, pod: Pod, names: Sequence[tuple[str, str]]) -> None:
        told = [{"name": name, "resourceClaimName": claim} for name, claim in names]
        patch = {"metadata": {"uid": pod.metadata.uid}, "status": {"resourceClaimStatuses": told}}
        key = pod.metadata.key
        await self._objects.patch(PODS, key, patch, subresource="status", strategic=True)

    async def reserve(self, pod: Pod, claim: ResourceClaim) -> None:
        mine = {"resource": PODS.plural, "name": pod.metadata.name, "uid": pod.metadata.uid}
        held = [_shown(item) for item in claim.status.reserved_for]
        await _write(self._objects.patch, claim, {"reservedFor": [*held, mine]})

    def measured(self) -> Iterator[Family]:
        return families(self._made, self._claims.values())

    def _template(self, pod: Pod, wanted: PodClaim) -> ResourceClaimTemplate:
        name = wanted.resource_claim_template_name or ""
        template = self._templates.get(Key(pod.metadata.namespace, name))
        if template is None:
            what = f'resourceclaimtemplate.resource.k8s.io "{name}" not found'
            raise NotFound(f'resource claim template "{name}": {what}')
        return template


class Reservations:
    """What the controller asks for that takes claims back."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._pods = world.cache(PODS, Pod)
        self._claims = world.cache(RESOURCE_CLAIMS, ResourceClaim)

    def find(self, key: Key) -> ResourceClaim | None:
        return self._claims.get(key)

    def pod(self, key: Key) -> Pod | None:
        return self._pods.get(key)

    async def is_gone(self, key: Key, uid: str) -> bool:
        try:
            found = _OBJECT.decode(await self._objects.get(PODS, key))
        except NotFound:
            return True
        return found.metadata.uid != uid

    async def write_status(self, claim: ResourceClaim, todo: reservations.Plan) -> ResourceClaim:
        said: dict[str, Any] = {}
        if todo.reserved is not None:
            said["reservedFor"] = [_shown(item) for item in todo.reserved] or None
        if todo.deallocate:
            said |= {"allocation": None, "devices": None}
        return await _write(self._objects.patch, claim, said)

    async def free(self, claim: ResourceClaim) -> None:
        metadata = claim.metadata
        left = [name for name in metadata.finalizers if name != devices.FINALIZER]
        seen = {"uid": metadata.uid, "resourceVersion": metadata.resource_version}
        patch = {"metadata": {**seen, "finalizers": left or None}}
        await self._objects.patch(RESOURCE_CLAIMS, metadata.key, patch)

    async def delete(self, claim: ResourceClaim) -> None:
        await remove(self._objects, RESOURCE_CLAIMS, claim.metadata)


def families(made: Mapping[str, int], claims: Iterable[ResourceClaim]) -> Iterator[Family]:
    """How many claims were ``made`` for pods, by success or failure, and how many there are."""
    name = "dynamic_resource_allocation_resource"
    created = Family(f"{name}claim_creates_total", "counter", "Claims that were made for pods.")
    for status, count in made.items():
        created.add(count, ("status", status), ("admin_access", "false"))
    there = Family(f"{name}_claims", "gauge", "Claims of devices.")
    for labels, count in Counter(map(_sort, claims)).items():
        there.add(count, *labels)
    return iter((created, there))


def _sort(claim: ResourceClaim) -> tuple[tuple[str, str], ...]:
    notes = claim.metadata.annotations
    source = "resource_claim_template" if devices.CLAIM_NAME in notes else ""
    if notes.get(devices.EXTENDED) == "true":
        source = "extended_resource"
    allocation = claim.status.allocation
    given = allocation.devices.results if allocation is not None else ()
    return (
        ("allocated", str(allocation is not None).lower()),
        ("admin_access", str(any(item.admin_access for item in given)).lower()),
        ("source", source),
    )


async def _write(patch: Any, claim: ResourceClaim, said: dict[str, Any]) -> ResourceClaim:
    """Only as it was seen: who may use a claim is decided by one at a time."""
    metadata = claim.metadata
    seen = {"uid": metadata.uid, "resourceVersion": metadata.resource_version}
    body = {"metadata": seen, "status": said}
    answer = await patch(RESOURCE_CLAIMS, metadata.key, body, subresource="status")
    return _CLAIM.decode(answer)


def _shown(consumer: devices.Consumer) -> dict[str, str]:
    shown: dict[str, str] = msgspec.to_builtins(consumer)
    return {member: said for member, said in shown.items() if said}


def _body(pod: Pod, wanted: PodClaim, template: ResourceClaimTemplate) -> dict[str, Any]:
    told = template.spec.metadata
    return {
        "apiVersion": RESOURCE_CLAIMS.api_version,
        "kind": RESOURCE_CLAIMS.kind,
        "metadata": {
            "generateName": resourceclaim.prefix(pod.metadata.name, wanted.name),
            "namespace": pod.metadata.namespace,
            "labels": told.labels,
            "annotations": {**told.annotations, devices.CLAIM_NAME: wanted.name},
            "ownerReferences": [owner_reference(PODS, pod.metadata)],
        },
        "spec": msgspec.json.decode(template.spec.spec),
    }


def _indexed(found: Cache[Pod]) -> None:
    """Pods by the claims that they name, and by the templates."""
    found.add_index(NAMED, lambda pod: [_in(pod, name) for name in devices.claim_names(pod)])
    found.add_index(
        TEMPLATED,
        lambda pod: [
            _in(pod, wanted.resource_claim_template_name)
            for wanted in pod.spec.resource_claims
            if wanted.resource_claim_template_name
        ],
    )


def _in(pod: Pod, name: str) -> str:
    return str(Key(pod.metadata.namespace, name))


def creation(world: World) -> Controller:
    """The controller that makes claims, wired: pods without claims never cost a look."""
    cluster = Claims(world)
    found, queue = world.cache(PODS, Pod), WorkQueue[Key]()
    claims = world.cache(RESOURCE_CLAIMS, ResourceClaim)
    templates = world.cache(RESOURCE_CLAIM_TEMPLATES, ResourceClaimTemplate)
    _indexed(found)

    def pod_changed(_: Pod | None, new: Pod | None) -> None:
        if new is not None and new.spec.resource_claims and not new.metadata.deleting:
            queue.add(new.metadata.key)

    def claim_changed(old: ResourceClaim | None, new: ResourceClaim | None) -> None:
        item = new if new is not None else old
        for pod in found.by_index(NAMED, str(item.metadata.key)) if item is not None else ():
            queue.add(pod.metadata.key)

    def template_changed(_: Any, new: ResourceClaimTemplate | None) -> None:
        for pod in found.by_index(TEMPLATED, str(new.metadata.key)) if new is not None else ():
            queue.add(pod.metadata.key)

    found.on_change(pod_changed)
    claims.on_change(claim_changed)
    claims.on_change(wiring.its_controller(queue, PODS))
    templates.on_change(template_changed)
    made = controller(ResourceClaimController(cluster), queue, found)

    def keys() -> list[Key]:
        return [pod.metadata.key for pod in found.values() if pod.spec.resource_claims]

    return replace(made, keys=keys, measured=cluster.measured)


def release(world: World) -> Controller:
    """The controller that takes claims back, wired."""
    found, queue = world.cache(PODS, Pod), WorkQueue[Key]()
    claims = world.cache(RESOURCE_CLAIMS, ResourceClaim)
    indexes.add_controller(claims)

    def pod_changed(old: Pod | None, new: Pod | None) -> None:
        pod = new if new is not None else old
        if pod is None or (new is not None and not devices.needs_claims_no_more(new)):
            return
        for name in devices.claim_names(pod):
            queue.add(Key(pod.metadata.namespace, name))
        # Those too that a scheduler made for it and has not told it of.
        for claim in claims.by_index(indexes.CONTROLLER, pod.metadata.uid):
            queue.add(claim.metadata.key)

    found.on_change(pod_changed)
    claims.on_change(wiring.itself(queue))
    return controller(ReservationController(Reservations(world)), queue, claims)
