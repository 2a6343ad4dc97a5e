"""What a pod asks for, its containers taken together; for the JSON of a pod's spec."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pilothouse.services.machinery import quantity

POD_LEVEL = frozenset({"cpu", "memory"})
HUGE = "hugepages-"
_BINARY = ("memory", "storage", "ephemeral-storage")
Amounts = dict[str, Decimal]


def container_amounts(spec: Mapping[str, Any], member: str) -> Amounts:
    """``requests`` or ``limits`` of all containers: the sum of those that run side by side, or
    the most that an init container needs while it runs.
    """
    total: Amounts = {}
    for container in spec.get("containers") or ():
        _add(total, parsed((container.get("resources") or {}).get(member)))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or ():
        amounts = parsed((container.get("resources") or {}).get(member))
        if container.get("restartPolicy") == "Always":
            _add(total, amounts)
            _add(sidecars, amounts)
            _most(peak, sidecars)
        else:
            _add(amounts, sidecars)
            _most(peak, amounts)
    _most(total, peak)
    return total


def pod_amounts(spec: Mapping[str, Any], member: str) -> Amounts:
    """What the pod is counted with: its own resources before its containers', and overhead."""
    total = container_amounts(spec, member)
    own = parsed((spec.get("resources") or {}).get(member))
    total.update({name: amount for name, amount in own.items() if pod_level(name)})
    for name, amount in parsed(spec.get("overhead")).items():
        if member == "requests" or name in total:
            total[name] = total.get(name, Decimal(0)) + amount
    return total


def pod_level(name: str) -> bool:
    """Whether a pod may ask for this resource as a whole."""
    return name in POD_LEVEL or name.startswith(HUGE)


def parsed(amounts: Mapping[str, Any] | None) -> Amounts:
    """A resource list as exact numbers."""
    return {name: quantity.parse(amount) for name, amount in (amounts or {}).items()}


def _add(total: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, Decimal(0)) + amount


def _most(total: Amounts, other: Amounts) -> None:
    for name, amount in other.items():
        if amount > total.get(name, Decimal(-1)):
            total[name] = amount


def rendered(name: str, amount: Decimal) -> str:
    """An amount of a resource as text: memory in powers of 1024."""
    return quantity.render(amount, binary=name.endswith(_BINARY) or HUGE in name)
