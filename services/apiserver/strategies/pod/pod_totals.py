"""Resources that a pod asks for as a whole."""

from collections.abc import Iterable
from decimal import Decimal

from pilothouse.services.apiserver.strategies.quantities import check_pod_name, check_requirements
from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names, quantity
from pilothouse.services.machinery.errors import Cause
from pilothouse.services.machinery.kinds.totals import (
    POD_LEVEL,
    container_amounts,
    parsed,
    pod_level,
    rendered,
)


def default_pod_resources(spec: Body) -> None:
    """A pod that limits itself as a whole requests what its containers do, else the limit."""
    resources = spec.get("resources")
    if not resources or not resources.get("limits"):
        return
    requests = dict(resources.get("requests") or {})
    for name, amount in container_amounts(spec, "requests").items():
        if name not in requests and name in POD_LEVEL:
            requests[name] = rendered(name, amount)
    for name, amount in resources["limits"].items():
        if pod_level(name):
            requests.setdefault(name, amount)
    if requests:
        resources["requests"] = requests


def check_pod_resources(resources: Body, spec: Body, path: str) -> list[Cause]:
    """``spec.resources``: at least what the containers request, and their limits not over it."""
    if not resources:
        return []
    causes: list[Cause] = []
    if resources.get("claims") is not None:
        detail = "claims cannot be set for Resources at pod-level"
        causes.append(names.forbidden(f"{path}.claims", detail))
    plain = {name: value for name, value in resources.items() if name != "claims"}
    causes += check_requirements(plain, path, rule=check_pod_name)
    requests = parsed(resources.get("requests"))
    for name, amount in container_amounts(spec, "requests").items():
        if pod_level(name) and amount > requests.get(name, Decimal(0)):
            shown = str((resources.get("requests") or {}).get(name, "0"))
            detail = "must be greater than or equal to aggregate container requests of "
            detail += rendered(name, amount)
            causes.append(names.invalid(f"{path}.requests[{name}]", shown, detail))
    return causes + _limits(spec.get("containers") or (), resources, path)


def _limits(containers: Iterable[Body], resources: Body, path: str) -> list[Cause]:
    causes = []
    most = resources.get("limits") or {}
    for index, container in enumerate(containers):
        for name, amount in ((container.get("resources") or {}).get("limits") or {}).items():
            if name in most and quantity.parse(amount) > quantity.parse(most[name]):
                field = f"{path}.containers[{index}][{name}].limits"
                detail = f"must be less than or equal to pod limits of {most[name]}"
                causes.append(names.invalid(field, str(amount), detail))
    return causes
