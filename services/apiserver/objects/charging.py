"""Policies of the cluster at the end of a write: reviews, then quotas, which remember it."""

from collections.abc import Awaitable, Callable
from typing import Any

from pilothouse.services.apiserver.admission import certificates, chain, escalation, quota
from pilothouse.services.apiserver.admission.request import Admission
from pilothouse.services.apiserver.cache.items import Item
from pilothouse.services.apiserver.objects.commits import Commits
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.requests import Stored, Target
from pilothouse.services.machinery.errors import ApiError, Forbidden, Timeout
from pilothouse.services.machinery.storage import Changed

Document = dict[str, Any]
_UNREVIEWED = frozenset({"status", "binding", "finalize", "approval"})


class Charging:
    """What stands between a valid object and the store."""

    def __init__(self, parts: Parts, commits: Commits) -> None:
        self._parts = parts
        self._commits = commits

    async def store(
        self, request: Admission, put: Callable[[], Awaitable[Stored]], *, dry_run: bool
    ) -> Stored:
        """Review, charge, and ``put``; what was charged for nothing is given back.

        Whoever hangs up meanwhile, or a store that does not know, leaves it charged: the object may
        be there. The quota controller counts anew.

        Raises:
            Forbidden: by a review or a quota.
        """
        await self._authorize(request)
        if request.subresource in _UNREVIEWED:
            return await put()
        if request.old is None:
            chain.review_create(request)
        else:
            chain.review_update(request)
        if not quota.concerns(request):
            return await put()
        await quota.charge(request, self._write, dry_run=dry_run)
        try:
            return await put()
        except (ApiError, Changed) as failure:
            if not isinstance(failure, Timeout):
                await quota.charge(request, self._write, dry_run=dry_run, refund=True)
            raise

    async def _authorize(self, request: Admission) -> None:
        """What RBAC has to say beyond the verb: about rights handed out, and about signers."""
        kind = request.kind
        if kind.group == escalation.GROUP and escalation.concerns(request):
            excuse = escalation.excuse(request)
            if excuse is not None and not await self._may(request, *excuse):
                held = self._parts.authorizer.held(request.user, request.key.namespace)
                escalation.review(request, held)
        elif kind.native == "certificatesigningrequests" and request.subresource:
            verb = certificates.signer_verb(request)
            name, every = certificates.signers(request)
            if verb and not (
                await self._may(request, verb, "signers", name)
                or await self._may(request, verb, "signers", every)
            ):
                raise request.forbidden(
                    f'user not permitted to {verb} requests with signerName "{name}"'
                )

    async def _may(self, request: Admission, verb: str, plural: str, name: str) -> bool:
        kind = request.kind
        target = Target(kind.group, kind.version, plural, request.key.namespace, name)
        try:
            await self._parts.authorizer.allow(request.user, verb, target)
        except Forbidden:
            return False
        return True

    async def _write(self, stored: Stored, document: Document) -> None:
        """Over the state that ``document`` was made from."""
        kind = self._parts.catalog.lookup("", "v1", "resourcequotas")
        try:
            await self._commits.update(kind, Item(stored, _no_fields), document)
        except Changed as lost:
            await self._commits.wait_for_winner(lost)
            raise


def _no_fields(_json: bytes) -> dict[str, str]:
    return {}
