"""Requests for certificates, and the writes to them."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from pilothouse.services.controllers.adapters import wiring
from pilothouse.services.controllers.adapters.identity import authority
from pilothouse.services.controllers.adapters.identity.authority import Authority, Signing
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.identity.approving import ApprovingController, Ground
from pilothouse.services.controllers.identity.cleaning import CleaningController
from pilothouse.services.controllers.identity.signing import SigningController, Terms
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds.certificates import (
    CertificateSigningRequest,
    Condition,
    Subject,
)
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    CERTIFICATE_SIGNING_REQUESTS,
    SUBJECT_ACCESS_REVIEWS,
)
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.control.queue import WorkQueue


class Requests:
    """What the controllers of certificates ask for."""

    def __init__(self, world: World, signing: Mapping[str, Signing] | None = None) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._requests = _cache(world)
        self._authorities = None if signing is None else _authorities(signing)

    def find(self, key: Key) -> CertificateSigningRequest | None:
        found = self._requests.get(key)
        if found is None or self._authorities is None:
            return found
        return found if found.spec.signer_name in self._authorities else None

    def subject(self, request: CertificateSigningRequest) -> Subject | None:
        return authority.subject(request.spec.request)

    def expires(self, request: CertificateSigningRequest) -> float | None:
        return authority.expires(request.status.certificate) if request.status.certificate else None

    def lasting(self) -> float:
        return next((item.seconds for item in (self._authorities or {}).values()), 0.0)

    def now(self) -> float:
        return self._clock.now()

    async def may(self, request: CertificateSigningRequest, ground: Ground) -> bool:
        asked = {
            "group": CERTIFICATE_SIGNING_REQUESTS.group,
            "resource": CERTIFICATE_SIGNING_REQUESTS.plural,
            "subresource": ground.subresource,
            "verb": "create",
        }
        spec = {
            "user": request.spec.username,
            "uid": request.spec.uid,
            "groups": list(request.spec.groups),
            "extra": {name: list(values) for name, values in request.spec.extra.items()},
            "resourceAttributes": asked,
        }
        review = {
            "apiVersion": SUBJECT_ACCESS_REVIEWS.api_version,
            "kind": SUBJECT_ACCESS_REVIEWS.kind,
            "spec": spec,
        }
        answer = await self._objects.create(SUBJECT_ACCESS_REVIEWS, "", review)
        return bool(json.loads(answer).get("status", {}).get("allowed"))

    async def approve(self, request: CertificateSigningRequest, message: str) -> None:
        await self._tell(request, "approval", self._said("Approved", "AutoApproved", message))

    async def sign(self, request: CertificateSigningRequest, terms: Terms) -> None:
        spec = request.spec
        signer = (self._authorities or {}).get(spec.signer_name)
        if signer is None:
            return
        try:
            made = signer.sign(spec.request, spec.usages, terms)
        except ValueError as error:
            await self.refuse(request, str(error))
            return
        patch = {"metadata": _same(request), "status": {"certificate": made}}
        key = request.metadata.key
        await self._objects.patch(CERTIFICATE_SIGNING_REQUESTS, key, patch, subresource="status")

    async def refuse(self, request: CertificateSigningRequest, why: str) -> None:
        await self._tell(request, "status", self._said("Failed", "SignerValidationFailure", why))

    async def delete(self, request: CertificateSigningRequest) -> None:
        await remove(self._objects, CERTIFICATE_SIGNING_REQUESTS, request.metadata)

    def _said(self, type_: str, reason: str, message: str) -> Condition:
        stamp = timestamps.render(self._clock.now())
        return Condition(
            type=type_,
            reason=reason,
            message=message,
            last_update_time=stamp,
            last_transition_time=stamp,
        )

    async def _tell(
        self, request: CertificateSigningRequest, subresource: str, said: Condition
    ) -> None:
        told = [_rendered(item) for item in (*request.status.conditions, said)]
        patch = {"metadata": _same(request), "status": {"conditions": told}}
        key = request.metadata.key
        await self._objects.patch(CERTIFICATE_SIGNING_REQUESTS, key, patch, subresource=subresource)


def _authorities(signing: Mapping[str, Signing]) -> dict[str, Authority]:
    """By signer; those that sign with the same are one."""
    made = {told: Authority(told) for told in set(signing.values())}
    return {name: made[told] for name, told in signing.items()}


def _same(request: CertificateSigningRequest) -> dict[str, str]:
    metadata = request.metadata
    return {"uid": metadata.uid, "resourceVersion": metadata.resource_version}


def _rendered(condition: Condition) -> dict[str, Any]:
    rendered: dict[str, Any] = msgspec.to_builtins(condition)
    return {name: value for name, value in rendered.items() if value}


def _cache(world: World) -> Cache[CertificateSigningRequest]:
    return world.cache(CERTIFICATE_SIGNING_REQUESTS, CertificateSigningRequest)


def _queue(world: World) -> WorkQueue[Key]:
    queue: WorkQueue[Key] = WorkQueue()
    _cache(world).on_change(wiring.itself(queue))
    return queue


def approving(world: World) -> Controller:
    """The approving controller, wired."""
    return controller(ApprovingController(Requests(world)), _queue(world), _cache(world))


def signing(world: World, told: Mapping[str, Signing]) -> Controller:
    """The signing controller, wired; ``told`` is by the signer's name."""
    return controller(SigningController(Requests(world, told)), _queue(world), _cache(world))


def cleaning(world: World) -> Controller:
    """The cleaning controller, wired."""
    return controller(CleaningController(Requests(world)), _queue(world), _cache(world))
