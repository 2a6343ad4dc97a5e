"""Policies of the cluster at the end of a write: reviews, then quotas, which remember it."""

from collections.abc import Awaitable, Callable
from typing import Any

from pilothouse.services.apiserver.admission import chain, quota
from pilothouse.services.apiserver.admission.request import Admission
from pilothouse.services.apiserver.cache.items import Item
from pilothouse.services.apiserver.objects.commits import Commits
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.requests import Stored
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

        Raises:
            Forbidden: by a review or a quota.
        """
        if request.subresource in _UNREVIEWED:
            return await put()
        if request.old is None:
            chain.review_create(request)
        else:
            chain.review_update(request)
        if not quota.concerns(request):
            return await put()
        await quota.charge(request, self._write, dry_run=dry_run)
        stored = False
        try:
            result = await put()
            stored = True
        finally:
            if not stored:
                await quota.charge(request, self._write, dry_run=dry_run, refund=True)
        return result

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
