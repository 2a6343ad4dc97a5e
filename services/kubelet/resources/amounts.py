"""What a pod asks for as a whole: cpu in thousandths, all else in whole units. Pure."""

from collections.abc import Mapping
from typing import Literal

from pilothouse.services.kubelet.pod.views import Container, Pod
from pilothouse.services.machinery import quantity
from pilothouse.services.machinery.kinds.totals import pod_level

Amounts = dict[str, int]
Member = Literal["requests", "limits"]


def parsed(amounts: Mapping[str, str | int | float]) -> Amounts:
    """A resource list in whole numbers."""
    return {
        name: quantity.milli(amount) if name == "cpu" else quantity.ceiling(amount)
        for name, amount in amounts.items()
    }


def of_container(container: Container, member: Member) -> Amounts:
    """What a container asks for; a limit without a request is a request too."""
    limits = parsed(container.resources.limits)
    return limits if member == "limits" else limits | parsed(container.resources.requests)


def of_pod(pod: Pod, member: Member) -> Amounts:
    """The sum over what runs side by side, or the most that an init container needs; what is set
    for the pod itself counts instead; overhead comes on top."""
    total = of_containers(pod, member)
    total |= own(pod, member)
    for name, amount in parsed(pod.spec.overhead).items():
        if member == "requests" or total.get(name):
            total[name] = total.get(name, 0) + amount
    return total


def own(pod: Pod, member: Member) -> Amounts:
    """What is set for the pod itself; a limit without a request is a request too."""
    resources = pod.spec.resources
    found = parsed(resources.limits)
    if member == "requests":
        found |= parsed(resources.requests)
    return {name: amount for name, amount in found.items() if pod_level(name)}


def of_containers(pod: Pod, member: Member) -> Amounts:
    """What the containers ask for together."""
    total: Amounts = {}
    for container in pod.spec.containers:
        _add(total, of_container(container, member))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in pod.spec.init_containers:
        needs = of_container(container, member)
        if container.is_sidecar:
            _add(total, needs)
            _add(sidecars, needs)
            _raise(peak, sidecars)
        else:
            _add(needs, sidecars)
            _raise(peak, needs)
    _raise(total, peak)
    return total


def every_has(pod: Pod, name: str) -> bool:
    """Whether the pod as a whole has a limit of this: of its own, or one in every container."""
    if own(pod, "limits").get(name):
        return True
    containers = (*pod.spec.containers, *pod.spec.init_containers)
    return all(of_container(item, "limits").get(name) for item in containers)


def _add(total: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _raise(total: Amounts, floor: Amounts) -> None:
    for name, amount in floor.items():
        total[name] = max(total.get(name, 0), amount)
