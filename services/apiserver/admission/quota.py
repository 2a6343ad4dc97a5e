"""ResourceQuota: what a namespace may hold, charged to the quota before the object is stored."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from pilothouse.services.apiserver.admission.request import Admission, Document
from pilothouse.services.apiserver.requests import Stored
from pilothouse.services.machinery.errors import Conflict
from pilothouse.services.machinery.kinds import quotas
from pilothouse.services.machinery.kinds.totals import Amounts, rendered
from pilothouse.services.machinery.storage import Changed

RACES_MAX = 100
_UPDATED = frozenset({"services", "persistentvolumeclaims"})
_CREATE_ONLY = frozenset({"pods"})

Write = Callable[[Stored, Document], Awaitable[object]]
"""Stores a quota's new document over the state that it was made from; Changed on a lost race."""


def concerns(request: Admission) -> bool:
    """Whether a write could change what a quota counts; mostly a namespace has none."""
    if not request.kind.namespaced or not _counts(request):
        return False
    return bool(request.live.objects("", "resourcequotas", request.key.namespace))


def _counts(request: Admission) -> bool:
    if request.old is None:
        return True
    if request.subresource:
        return request.subresource == "resize"
    return not request.kind.group and request.kind.plural in _UPDATED


def _delta(request: Admission) -> Amounts:
    kind = request.kind
    asked = quotas.usage(kind.group, kind.plural, request.document)
    if request.old is None:
        return asked
    before = quotas.usage(kind.group, kind.plural, request.old)
    return {
        name: asked.get(name, Decimal(0)) - before.get(name, Decimal(0))
        for name in {*asked, *before}
    }


async def charge(request: Admission, write: Write, *, dry_run: bool, refund: bool = False) -> None:
    """Count the object in every quota that it falls under; with ``refund`` no longer.

    Raises:
        Forbidden: a quota would be exceeded, or its present use is not known yet.
    """
    asked = _delta(request)
    if not any(asked.values()) and not _moves(request):
        return
    done: set[str] = set()
    for _ in range(RACES_MAX):
        todo = [
            (stored, document)
            for stored in request.live.objects("", "resourcequotas", request.key.namespace)
            if stored.key.name not in done
            and (document := _charged(request, stored, asked, refund=refund)) is not None
        ]
        if dry_run or not todo:
            return
        try:
            for stored, document in todo:
                await write(stored, document)
                done.add(stored.key.name)
        except Changed:
            continue
        return
    raise Conflict(
        f"Operation cannot be fulfilled on resourcequotas: quotas of "
        f"{request.key.namespace} change too quickly, try again"
    )


def _moves(request: Admission) -> bool:
    """Whether a change may bring the object under a quota that it was not under before."""
    kind = request.kind
    return request.old is not None and (kind.group, kind.plural) == ("", "persistentvolumeclaims")


def _asked(request: Admission, quota: Document, delta: Amounts, *, refund: bool) -> Amounts:
    """What one quota is charged: all of an object that it did not count before."""
    kind, old, asked = request.kind, request.old, delta
    if (
        old is not None
        and _moves(request)
        and not quotas.applies(quota, kind.group, kind.plural, old)
    ):
        asked = quotas.usage(kind.group, kind.plural, request.document)
    return {name: -amount for name, amount in asked.items()} if refund else asked


def _charged(
    request: Admission, stored: Stored, delta: Amounts, *, refund: bool
) -> Document | None:
    """The quota with the object in it; None when it does not count there."""
    quota = msgspec.json.decode(stored.json)
    kind, asked = request.kind, _asked(request, quota, delta, refund=refund)
    if not any(asked.values()):
        return None
    spec_hard = (quota.get("spec") or {}).get("hard") or {}
    touched = asked.keys() & spec_hard.keys()
    bounded = quotas.COMPUTE & spec_hard.keys() if _is_new_pod(request) else frozenset()
    if not touched and not bounded:
        return None
    if not quotas.applies(quota, kind.group, kind.plural, request.document):
        return None
    name = quota["metadata"]["name"]
    if bounded and (unsaid := quotas.missing(request.document.get("spec") or {}, bounded)):
        told = "; ".join(f"{key} for: {','.join(sorted(unsaid[key]))}" for key in sorted(unsaid))
        raise request.forbidden(f"failed quota: {name}: must specify {told}")
    status = quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    unknown = sorted(key for key in touched if key not in used or key not in hard)
    if unknown:
        told = ",".join(unknown)
        raise request.forbidden(f"status unknown for quota: {name}, resources: {told}")
    after, exceeded = quotas.over(hard, used, asked)
    if exceeded:
        requested = {key: rendered(key, asked[key]) for key in exceeded}
        raise request.forbidden(
            f"exceeded quota: {name}, requested: {_shown(requested, exceeded)}, "
            f"used: {_shown(used, exceeded)}, limited: {_shown(hard, exceeded)}"
        )
    if after == used:
        return None
    return {**quota, "status": {**status, "used": after}}


def _is_new_pod(request: Admission) -> bool:
    kind = request.kind
    return not kind.group and kind.plural in _CREATE_ONLY and request.old is None


def _shown(amounts: Mapping[str, Any], names: Sequence[str]) -> str:
    return ",".join(f"{name}={amounts[name]}" for name in names)
