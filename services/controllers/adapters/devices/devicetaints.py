"""Which taints the devices of pods have, and what comes of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import msgspec

from pilothouse.services.controllers.adapters.disruption import disrupt
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.world import (
    Controller,
    World,
    controller,
    reference,
)
from pilothouse.services.controllers.devices import devicetaints
from pilothouse.services.controllers.devices.devicetaints import (
    EFFECT,
    DeviceTaintEvictionController,
    Tainted,
)
from pilothouse.services.controllers.devices.taintrules import DeviceTaintRuleController, Reach
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds import devices
from pilothouse.services.machinery.kinds.devices import (
    DeviceTaintRule,
    ResourceClaim,
    ResourceSlice,
    RuleCondition,
    Taint,
)
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    DEVICE_TAINT_RULES,
    PODS,
    RESOURCE_CLAIMS,
    RESOURCE_SLICES,
)
from pilothouse.services.runtime.control.queue import WorkQueue

POOL = "pool"
_REASON = "DeviceTaintManagerEviction"


class Devices:
    """Devices, by what taints them."""

    def __init__(self, world: World) -> None:
        self.evicted: Counter[str] = Counter()
        self.claims = world.cache(RESOURCE_CLAIMS, ResourceClaim)
        self.slices = world.cache(RESOURCE_SLICES, ResourceSlice)
        self.rules = world.cache(DEVICE_TAINT_RULES, DeviceTaintRule)
        self.pods = world.cache(PODS, Pod)
        self.clock = world.clock
        self.objects = world.objects
        self._since: dict[tuple[str, Taint], float] = {}
        self.slices.add_index(POOL, lambda found: (_pool(found.spec.driver, found.spec.pool.name),))
        self.claims.add_index(
            POOL, lambda claim: {_pool(given.driver, given.pool) for given in _given(claim)}
        )

    def tainted(self, pod: Pod, simulated: DeviceTaintRule | None = None) -> Iterator[Tainted]:
        """Of all that the pod uses; ``simulated`` counts as if it drove pods away."""
        for name in devices.claim_names(pod):
            claim = self.claims.get(Key(pod.metadata.namespace, name))
            if claim is None or not devices.is_reserved_for(pod, claim):
                continue
            for given in _given(claim):
                for taint, rule in self._taints(given, simulated):
                    since = self._since_when(_pool(given.driver, given.pool), taint)
                    yield Tainted(taint, since, given.tolerations, rule)

    def users(self, claim: ResourceClaim | None) -> Iterator[Pod]:
        """The pods that it is reserved for."""
        if claim is None:
            return
        for item in claim.status.reserved_for:
            pod = self.pods.get(Key(claim.metadata.namespace, item.name))
            if pod is not None and pod.metadata.uid == item.uid:
                yield pod

    def reach(self, rule: DeviceTaintRule) -> Reach:
        """What the rule touches."""
        waiting: dict[Key, str] = {}
        allocated = 0
        effective = rule.spec.taint.effect == EFFECT
        for claim in self.claims.values():
            hit = [given for given in _given(claim) if _selects(rule, given)]
            allocated += len(hit)
            for pod in self.users(claim) if hit else ():
                tainted = self.tainted(pod, None if effective else rule)
                todo = devicetaints.plan(pod, tainted, self.clock.now())
                if rule.metadata.uid in todo.rules:
                    waiting[pod.metadata.key] = pod.metadata.namespace
        published = sum(
            devices.selects(rule, found.spec.driver, found.spec.pool.name, device.name)
            for found in self.slices.values()
            if self._is_newest(found)
            for device in found.spec.devices
        )
        evicted = self.evicted[rule.metadata.uid]
        return Reach(published, allocated, tuple(waiting.values()), evicted)

    def _taints(
        self, given: devices.Result, simulated: DeviceTaintRule | None
    ) -> Iterator[tuple[Taint, str]]:
        for found in self.slices.by_index(POOL, _pool(given.driver, given.pool)):
            if not self._is_newest(found):
                continue
            for device in found.spec.devices:
                if device.name == given.device:
                    yield from ((taint, "") for taint in device.taints if taint.effect == EFFECT)
        for rule in self.rules.values():
            if rule.spec.taint.effect == EFFECT and _selects(rule, given):
                yield rule.spec.taint, rule.metadata.uid
        if simulated is not None and _selects(simulated, given):
            taint = msgspec.structs.replace(simulated.spec.taint, effect=EFFECT)
            yield taint, simulated.metadata.uid

    def _is_newest(self, found: ResourceSlice) -> bool:
        """Those of a generation before say no more what there is."""
        beside = self.slices.by_index(POOL, _pool(found.spec.driver, found.spec.pool.name))
        generation = found.spec.pool.generation
        return all(item.spec.pool.generation <= generation for item in beside)

    def _since_when(self, pool: str, taint: Taint) -> float:
        if taint.time_added:
            return timestamps.parse(taint.time_added)
        return self._since.setdefault((pool, taint), self.clock.now())


class DeviceTaints:
    """What the device taint eviction controller asks for."""

    def __init__(self, world: World, found: Devices, queue: WorkQueue[Key]) -> None:
        self._devices = found
        self._queue = queue
        self._recorder = world.recorder("device-taint-eviction-controller")
        self._waiting: set[Key] = set()

    def pod(self, key: Key) -> Pod | None:
        return self._devices.pods.get(key)

    def tainted(self, pod: Pod) -> Sequence[Tainted]:
        return tuple(self._devices.tainted(pod))

    def now(self) -> float:
        return self._devices.clock.now()

    async def evict(self, pod: Pod, rules: frozenset[str]) -> None:
        self._waiting.discard(pod.metadata.key)
        about = reference(PODS, pod.metadata)
        self._recorder.note(about, "Normal", _REASON, "Marking for deletion")
        objects, reason = self._devices.objects, "DeletionByDeviceTaintManager"
        message = "Device Taint manager: deleting due to NoExecute taint"
        await disrupt(objects, pod, self.now(), reason, message)
        if await remove(objects, PODS, pod.metadata):
            self._devices.evicted.update(rules)
            for rule in self._devices.rules.values():
                if rule.metadata.uid in rules:
                    self._queue.add(rule.metadata.key)

    def note(self, key: Key, *, waits: bool) -> None:
        if waits:
            self._waiting.add(key)
            return
        pod = self.pod(key)
        if key in self._waiting and pod is not None and not pod.metadata.deleting:
            about = reference(PODS, pod.metadata)
            self._recorder.note(about, "Normal", _REASON, "Cancelling deletion")
        self._waiting.discard(key)


class Rules:
    """What the controller asks for that lets rules say what they do."""

    def __init__(self, found: Devices) -> None:
        self._devices = found

    def find(self, key: Key) -> DeviceTaintRule | None:
        return self._devices.rules.get(key)

    def reach(self, rule: DeviceTaintRule) -> Reach:
        return self._devices.reach(rule)

    def now(self) -> float:
        return self._devices.clock.now()

    async def write(self, rule: DeviceTaintRule, condition: RuleCondition) -> None:
        metadata = rule.metadata
        kept = [item for item in rule.status.conditions if item.type != condition.type]
        told = [msgspec.to_builtins(item) for item in (*kept, condition)]
        seen = {"uid": metadata.uid, "resourceVersion": metadata.resource_version}
        patch = {"metadata": seen, "status": {"conditions": told}}
        try:
            await self._devices.objects.patch(
                DEVICE_TAINT_RULES, metadata.key, patch, subresource="status"
            )
        except NotFound:
            return


def _given(claim: ResourceClaim) -> tuple[devices.Result, ...]:
    allocation = claim.status.allocation
    return allocation.devices.results if allocation is not None else ()


def _selects(rule: DeviceTaintRule, given: devices.Result) -> bool:
    return devices.selects(rule, given.driver, given.pool, given.device)


def _pool(driver: str, pool: str) -> str:
    return f"{driver}/{pool}"


def eviction(world: World) -> Controller:
    """The device taint eviction controller, wired: pods without claims never cost a look."""
    found, queue = Devices(world), WorkQueue[Key]()
    _look_at_users(found, queue)
    _look_at_taints(found, queue)
    cluster = DeviceTaints(world, found, queue)
    reconciler = DeviceTaintEvictionController(cluster, DeviceTaintRuleController(Rules(found)))
    made = controller(reconciler, queue, found.pods)

    def keys() -> list[Key]:
        users = (pod for claim in found.claims.values() for pod in found.users(claim))
        rules = [rule.metadata.key for rule in found.rules.values()]
        return [*rules, *sorted({pod.metadata.key for pod in users})]

    return replace(made, keys=keys)


def _look_at_users(found: Devices, queue: WorkQueue[Key]) -> None:
    """When a claim or a pod that has one changes."""

    def claim_changed(old: ResourceClaim | None, new: ResourceClaim | None) -> None:
        for pod in (*found.users(old), *found.users(new)):
            queue.add(pod.metadata.key)

    def pod_changed(old: Pod | None, new: Pod | None) -> None:
        pod = new if new is not None else old
        if pod is not None and any(True for _ in devices.claim_names(pod)):
            queue.add(pod.metadata.key)

    found.claims.on_change(claim_changed)
    found.pods.on_change(pod_changed)


def _look_at_taints(found: Devices, queue: WorkQueue[Key]) -> None:
    """When a slice or a rule changes."""

    def slice_changed(old: ResourceSlice | None, new: ResourceSlice | None) -> None:
        specs = [item.spec for item in (old, new) if item is not None]
        for pool in sorted({_pool(spec.driver, spec.pool.name) for spec in specs}):
            look(found.claims.by_index(POOL, pool))

    def rule_changed(old: DeviceTaintRule | None, new: DeviceTaintRule | None) -> None:
        if new is not None:
            queue.add(new.metadata.key)
        if old is None or new is None or old.spec != new.spec:
            look(found.claims.values())

    def look(claims: Iterable[ResourceClaim]) -> None:
        for pod in (pod for claim in claims for pod in found.users(claim)):
            queue.add(pod.metadata.key)

    found.slices.on_change(slice_changed)
    found.rules.on_change(rule_changed)
