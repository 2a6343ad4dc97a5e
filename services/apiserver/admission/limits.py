"""LimitRanger: defaults and bounds of what pods and claims of a namespace ask for."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from pilothouse.services.apiserver.admission.request import Admission, Document
from pilothouse.services.machinery import quantity
from pilothouse.services.machinery.kinds.totals import pod_amounts, rendered

ANNOTATION = "kubernetes.io/limit-ranger"
_MEMBERS = (("containers", "container"), ("initContainers", "init container"))
Texts = Mapping[str, Any]


def _limits(request: Admission) -> Iterator[Document]:
    """Every item of every LimitRange of the namespace; mostly there is none."""
    for stored in request.live.objects("", "limitranges", request.key.namespace):
        yield from (msgspec.json.decode(stored.json).get("spec") or {}).get("limits") or ()


def admit(request: Admission) -> None:
    """Give containers the defaults of the namespace."""
    told: list[str] = []
    for limit in _limits(request):
        if limit.get("type") == "Container":
            _fill(request.document["spec"], limit, told)
    if told:
        annotations = request.document["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = f"LimitRanger plugin set: {'; '.join(told)}"


def _fill(spec: Document, limit: Document, told: list[str]) -> None:
    for member, word in _MEMBERS:
        for container in spec.get(member) or ():
            resources = container.setdefault("resources", {})
            for field, source, noun in (
                ("requests", limit.get("defaultRequest"), "request"),
                ("limits", limit.get("default"), "limit"),
            ):
                missing = (source or {}).keys() - (resources.get(field) or {}).keys()
                if missing and source:
                    given = {name: source[name] for name in sorted(missing)}
                    resources[field] = {**(resources.get(field) or {}), **given}
                    named = ", ".join(sorted(missing))
                    told.append(f"{named} {noun} for {word} {container['name']}")


def review_pod(request: Admission) -> None:
    """Forbidden when a container, or the whole pod, is out of bounds."""
    wrong: list[str] = []
    spec = request.document["spec"]
    for limit in _limits(request):
        if limit.get("type") == "Container":
            for member, _ in _MEMBERS:
                for container in spec.get(member) or ():
                    resources = container.get("resources") or {}
                    wrong += _container(limit, resources)
        elif limit.get("type") == "Pod":
            totals = {
                field: {
                    name: rendered(name, amount)
                    for name, amount in pod_amounts(spec, field).items()
                }
                for field in ("requests", "limits")
            }
            wrong += _container(limit, totals)
    _refuse(request, wrong)


def review_claim(request: Admission) -> None:
    """Forbidden when a claim asks for too much or too little."""
    wrong: list[str] = []
    asked = (request.document["spec"].get("resources") or {}).get("requests") or {}
    for limit in _limits(request):
        if limit.get("type") != "PersistentVolumeClaim":
            continue
        for word, member, beyond in (("minimum", "min", -1), ("maximum", "max", 1)):
            for name, bound in (limit.get(member) or {}).items():
                head = f"{word} {name} usage per PersistentVolumeClaim is {bound}"
                if name not in asked:
                    wrong.append(f"{head}.  No request is specified")
                elif _compare(asked[name], bound) == beyond:
                    wrong.append(f"{head}, but request is {asked[name]}")
    _refuse(request, wrong)


def _refuse(request: Admission, wrong: list[str]) -> None:
    if wrong:
        # The same refusal by several containers is told once.
        found = list(dict.fromkeys(wrong))
        raise request.forbidden(found[0] if len(found) == 1 else f"[{', '.join(found)}]")


def _compare(one: Any, other: Any) -> int:
    a, b = quantity.parse(one), quantity.parse(other)
    return (a > b) - (a < b)


def _container(limit: Document, resources: Texts) -> list[str]:
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    kind = limit["type"]
    wrong = _least(kind, limit.get("min") or {}, requests, limits)
    wrong += _most(kind, limit.get("max") or {}, requests, limits)
    return wrong + list(_ratios(kind, (limit.get("maxLimitRequestRatio") or {}).items(),
                                requests, limits))  # fmt: skip


def _least(kind: str, bounds: Texts, requests: Texts, limits: Texts) -> list[str]:
    wrong = []
    for name, bound in bounds.items():
        head = f"minimum {name} usage per {kind} is {bound}"
        if name not in requests:
            wrong.append(f"{head}.  No request is specified")
        elif _compare(requests[name], bound) < 0:
            wrong.append(f"{head}, but request is {requests[name]}")
        elif name in limits and _compare(limits[name], bound) < 0:
            wrong.append(f"{head}, but limit is {limits[name]}")
    return wrong


def _most(kind: str, bounds: Texts, requests: Texts, limits: Texts) -> list[str]:
    wrong = []
    for name, bound in bounds.items():
        head = f"maximum {name} usage per {kind} is {bound}"
        if name not in limits:
            wrong.append(f"{head}.  No limit is specified")
        elif _compare(limits[name], bound) > 0:
            wrong.append(f"{head}, but limit is {limits[name]}")
        elif name in requests and _compare(requests[name], bound) > 0:
            wrong.append(f"{head}, but request is {requests[name]}")
    return wrong


def _ratios(
    kind: str, bounds: Iterable[tuple[str, Any]], requests: Texts, limits: Texts
) -> Iterator[str]:
    for name, bound in bounds:
        head = f"{name} max limit to request ratio per {kind} is {bound}, but"
        request = quantity.parse(requests.get(name, 0))
        limit = quantity.parse(limits.get(name, 0))
        if request == 0:
            yield f"{head} no request is specified or request is 0"
        elif limit == 0:
            yield f"{head} no limit is specified or limit is 0"
        elif limit / request > Decimal(quantity.parse(bound)):
            yield f"{head} provided ratio is {float(limit / request):f}"
