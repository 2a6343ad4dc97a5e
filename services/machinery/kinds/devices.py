"""Facts about claims of devices: which a pod has, who holds them, what was given to them."""

from collections.abc import Iterator

import msgspec
from msgspec import field

from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.pods import EMPTY, Pod, PodClaim, Toleration
from pilothouse.services.machinery.objects import Metadata, View, controller_of

FINALIZER = "resource.kubernetes.io/delete-protection"
CLAIM_NAME = "resource.kubernetes.io/pod-claim-name"
"""Annotation of a claim that was made for a pod: the name that the pod's spec has for it."""
EXTENDED = "resource.kubernetes.io/extended-resource-claim"
"""Annotation of a claim that a scheduler made for what a pod asks of extended resources."""
RESERVED_MAX = 256


class Consumer(View, frozen=True, kw_only=True):
    """Who may use a claim; ``resource`` is a plural."""

    api_group: str = ""
    resource: str = ""
    name: str = ""
    uid: str = ""


class Result(View, frozen=True, kw_only=True):
    """One device that was given."""

    driver: str = ""
    pool: str = ""
    device: str = ""
    admin_access: bool | None = None
    tolerations: tuple[Toleration, ...] = ()


class Devices(View, frozen=True, kw_only=True):
    results: tuple[Result, ...] = ()


class Allocation(View, frozen=True, kw_only=True):
    devices: Devices = Devices()
    allocation_timestamp: str | None = None


class Status(View, frozen=True, kw_only=True):
    allocation: Allocation | None = None
    reserved_for: tuple[Consumer, ...] = ()


class ResourceClaim(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    status: Status = Status()


class TemplateSpec(View, frozen=True, kw_only=True):
    """What claims are made of: labels, annotations, and the spec as bytes."""

    metadata: Metadata = Metadata()
    spec: msgspec.Raw = EMPTY


class ResourceClaimTemplate(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: TemplateSpec = TemplateSpec()


class Taint(View, frozen=True, kw_only=True):
    key: str = ""
    value: str = ""
    effect: str = ""
    time_added: str | None = None


class Device(View, frozen=True, kw_only=True):
    name: str = ""
    taints: tuple[Taint, ...] = ()


class Pool(View, frozen=True, kw_only=True):
    name: str = ""
    generation: int = 0


class SliceSpec(View, frozen=True, kw_only=True):
    driver: str = ""
    pool: Pool = Pool()
    devices: tuple[Device, ...] = ()


class ResourceSlice(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: SliceSpec = SliceSpec()


class TaintSelector(View, frozen=True, kw_only=True):
    """Which devices; what is not told matches all."""

    driver: str | None = None
    pool: str | None = None
    device: str | None = None


class RuleSpec(View, frozen=True, kw_only=True):
    selector: TaintSelector | None = field(default=None, name="deviceSelector")
    taint: Taint = Taint()


class RuleCondition(View, frozen=True, kw_only=True):
    type: str
    status: str = "False"
    reason: str = ""
    message: str = ""
    observed_generation: int = 0
    last_transition_time: str | None = None


class RuleStatus(View, frozen=True, kw_only=True):
    conditions: tuple[RuleCondition, ...] = ()


class DeviceTaintRule(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: RuleSpec = RuleSpec()
    status: RuleStatus = RuleStatus()


def claim_name(pod: Pod, wanted: PodClaim) -> str | None:
    """What the claim is called; None where none was made of the template yet.

    Empty where whoever makes claims has seen that it needs none.
    """
    if wanted.resource_claim_name is not None:
        return wanted.resource_claim_name
    for told in pod.status.resource_claim_statuses:
        if told.name == wanted.name:
            return told.resource_claim_name or ""
    return None


def claim_names(pod: Pod) -> Iterator[str]:
    """All claims that the pod is known to have, the one of its extended resources too."""
    for wanted in pod.spec.resource_claims:
        name = claim_name(pod, wanted)
        if name:
            yield name
    extended = pod.status.extended_resource_claim_status
    if extended is not None and extended.resource_claim_name:
        yield extended.resource_claim_name


def is_for(pod: Pod, claim: ResourceClaim) -> bool:
    """Whether the claim was made for this very pod."""
    owner = controller_of(claim.metadata)
    return owner is not None and owner.uid == pod.metadata.uid


def is_reserved_for(pod: Pod, claim: ResourceClaim) -> bool:
    return any(item.uid == pod.metadata.uid for item in claim.status.reserved_for)


def needs_claims_no_more(pod: Pod) -> bool:
    """Whether it runs nothing, and never will: it ended, or goes before it came to a node."""
    return pods.is_terminal(pod) or (pod.metadata.deleting and not pod.spec.node_name)


def selects(rule: DeviceTaintRule, driver: str, pool: str, device: str) -> bool:
    """Whether the rule taints this device; one without a selector taints none."""
    wanted = rule.spec.selector
    if wanted is None:
        return False
    asked = ((wanted.driver, driver), (wanted.pool, pool), (wanted.device, device))
    return all(told is None or told == real for told, real in asked)
