"""
What is to be done for one claim: bind it, have its volume made, or say why it waits.

A binding is written in four steps, each of which says the same as those before it: the volume names
the claim, the volume is Bound, the claim names the volume, the claim is Bound. Whoever stops after
any of them goes on from there: a volume that names a claim is that claim's and nobody else's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pilothouse.services.machinery.kinds import binding
from pilothouse.services.machinery.kinds.volumes import Claim, PersistentVolume, StorageClass

BOUND, PENDING, LOST = "Bound", "Pending", "Lost"
NORMAL, WARNING = "Normal", "Warning"


@dataclass(frozen=True, slots=True)
class Say:
    """An event about the claim or the volume."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """``bind``: the volume that is the claim's; else ``phase`` is what the claim is (empty: as is).

    ``storage_class``: the class to give it; ``provisioner``: who is to make its volume.
    """

    bind: PersistentVolume | None = None
    phase: str = ""
    say: Say | None = None
    storage_class: str = ""
    provisioner: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """``named``: the volume that the claim names; ``near``: the free ones of its class, and those
    that name it; ``waiting``: names of pods without a node that use it; ``default`` the class of
    claims that name none. ``provision``: whether volumes are made on demand.
    """

    named: PersistentVolume | None = None
    near: Sequence[PersistentVolume] = ()
    storage_class: StorageClass | None = None
    default: StorageClass | None = None
    waiting: tuple[str, ...] = ()
    provision: bool = True


@dataclass(frozen=True, slots=True)
class Steps:
    """Which of the writes of a binding are still to be made, in this order.

    ``by_us``: nobody else had chosen, so that the choice may be undone.
    """

    reserve: bool
    volume_by_us: bool
    volume_phase: bool
    complete: bool
    claim_by_us: bool
    claim_status: bool


def plan(claim: Claim, seen: Observed) -> Plan:
    if binding.is_complete(claim):
        return _bound(claim, seen.named)
    if claim.spec.volume_name:
        return _asked(claim, seen.named)
    late = binding.is_late(claim, seen.storage_class)
    found = binding.kept(claim, seen.near)
    if found is None and not late:
        found = binding.best(claim, seen.near)
    if found is not None:
        return Plan(bind=found)
    return _unmatched(claim, seen, late=late)


def _unmatched(claim: Claim, seen: Observed, *, late: bool) -> Plan:
    if not binding.names_class(claim) and seen.default is not None:
        return Plan(storage_class=seen.default.metadata.name)
    if late:
        return _pending(claim, _waits(seen.waiting))
    if binding.class_of(claim):
        return _provisioned(claim, seen)
    text = "no persistent volumes available for this claim and no storage class is set"
    return _pending(claim, Say(NORMAL, "FailedBinding", text))


def _bound(claim: Claim, volume: PersistentVolume | None) -> Plan:
    if not claim.spec.volume_name:
        text = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
        return _lost(claim, "ClaimLost", text)
    if volume is None:
        text = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        return _lost(claim, "ClaimLost", text)
    reference = volume.spec.claim_ref
    if reference is None or binding.refers_to(reference, claim):
        return Plan(bind=volume)
    text = "Two claims are bound to the same volume, this one is bound incorrectly"
    return _lost(claim, "ClaimMisbound", text)


def _asked(claim: Claim, volume: PersistentVolume | None) -> Plan:
    """It names a volume, and has not got it yet."""
    if volume is None:
        return _pending(claim)
    if volume.spec.claim_ref is None:
        wrong = binding.mismatch(claim, volume)
        if wrong:
            text = f'Cannot bind to requested volume "{claim.spec.volume_name}": {wrong}'
            return _pending(claim, Say(WARNING, "VolumeMismatch", text))
        return Plan(bind=volume)
    if binding.refers_to(volume.spec.claim_ref, claim):
        return Plan(bind=volume)
    text = f'volume "{claim.spec.volume_name}" already bound to a different claim.'
    return _pending(claim, Say(WARNING, "FailedBinding", text))


def _provisioned(claim: Claim, seen: Observed) -> Plan:
    name, found = binding.class_of(claim), seen.storage_class
    if not seen.provision:
        return _pending(claim)
    if found is None:
        text = f'storageclass.storage.k8s.io "{name}" not found'
        return _pending(claim, Say(WARNING, "ProvisioningFailed", text))
    maker = found.provisioner
    if maker == binding.NO_PROVISIONER:
        text = f"no volume plugin matched name: {maker}"
        return _pending(claim, Say(WARNING, "ProvisioningFailed", text))
    text = (
        "Waiting for a volume to be created either by the external provisioner "
        f"'{maker}' or manually by the system administrator. If volume creation is delayed, "
        "please verify that the provisioner is running and correctly registered."
    )
    told = claim.metadata.annotations
    keys = (binding.STORAGE_PROVISIONER, binding.BETA_STORAGE_PROVISIONER)
    is_told = all(told.get(key) == maker for key in keys)
    waits = _pending(claim, Say(NORMAL, "ExternalProvisioning", text))
    return waits if is_told else Plan(phase=waits.phase, say=waits.say, provisioner=maker)


def _waits(pods: Sequence[str]) -> Say:
    if not pods:
        text = "waiting for first consumer to be created before binding"
        return Say(NORMAL, "WaitForFirstConsumer", text)
    if len(pods) == 1:
        return Say(NORMAL, "WaitForPodScheduled", f"waiting for pod {pods[0]} to be scheduled")
    text = f"waiting for pods {','.join(sorted(pods))} to be scheduled"
    return Say(NORMAL, "WaitForPodScheduled", text)


def _pending(claim: Claim, say: Say | None = None) -> Plan:
    return Plan(phase=PENDING if claim.status.phase != PENDING else "", say=say)


def _lost(claim: Claim, reason: str, text: str) -> Plan:
    if claim.status.phase == LOST:
        return Plan()
    return Plan(phase=LOST, say=Say(WARNING, reason, text))


def steps(claim: Claim, volume: PersistentVolume) -> Steps:
    """What is still to be written until the claim has the volume, as everybody sees it."""
    reference, told = volume.spec.claim_ref, claim.metadata.annotations
    named = claim.spec.volume_name == volume.metadata.name
    return Steps(
        reserve=reference is None or reference.uid != claim.metadata.uid,
        volume_by_us=reference is None,
        volume_phase=volume.status.phase != BOUND,
        complete=not named or binding.BIND_COMPLETED not in told,
        claim_by_us=not named,
        claim_status=claim.status.phase != BOUND
        or claim.status.access_modes != volume.spec.access_modes,
    )
