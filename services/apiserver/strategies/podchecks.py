"""The rules of a pod's spec, wherever it stands."""

from collections.abc import Iterator
from typing import Any

from pilothouse.services.apiserver.strategies import containerchecks
from pilothouse.services.apiserver.strategies.poddefaults import containers
from pilothouse.services.apiserver.strategies.strategy import Document
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

_RESTART = ("Always", "OnFailure", "Never")
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_TOLERATES = ("Exists", "Equal", "Lt", "Gt")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def check_spec(spec: Document, path: str) -> list[Cause]:
    """What is wrong with a pod's spec that stands at ``path``."""
    causes = [*_volumes(spec, path), *_words(spec, path), *_tolerations(spec, path)]
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    if not spec.get("containers"):
        causes.append(names.required(f"{path}.containers"))
    seen: set[str] = set()
    for member in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(member) or ()):
            place = f"{path}.{member}[{index}]"
            name = container.get("name")
            if name in seen:
                causes.append(names.duplicate(f"{place}.name", name))
            seen.add(name)
            causes += containerchecks.check(container, place, volumes)
    return causes


def _words(spec: Document, path: str) -> Iterator[Cause]:
    if spec["restartPolicy"] not in _RESTART:
        yield names.unsupported(f"{path}.restartPolicy", spec["restartPolicy"], _RESTART)
    if spec["dnsPolicy"] not in _DNS:
        yield names.unsupported(f"{path}.dnsPolicy", spec["dnsPolicy"], _DNS)
    if spec["terminationGracePeriodSeconds"] < 0:
        yield negative(f"{path}.terminationGracePeriodSeconds", spec)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and deadline < 1:
        yield names.invalid(
            f"{path}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive"
        )
    for field, rule in (("nodeName", names.subdomain), ("serviceAccountName", names.subdomain),
                        ("hostname", names.label), ("subdomain", names.label)):  # fmt: skip
        value = spec.get(field)
        if value and (wrong := rule(value)):
            yield names.invalid(f"{path}.{field}", value, wrong)
    yield from names.check_labels(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")


def _volumes(spec: Document, path: str) -> Iterator[Cause]:
    seen: set[Any] = set()
    for index, volume in enumerate(spec.get("volumes") or ()):
        place = f"{path}.volumes[{index}]"
        name = volume.get("name", "")
        if not name:
            yield names.required(f"{place}.name")
        elif wrong := names.label(name):
            yield names.invalid(f"{place}.name", name, wrong)
        if name in seen:
            yield names.duplicate(f"{place}.name", name)
        seen.add(name)
        sources = [source for source in volume if source != "name"]
        for source in sources[1:]:
            yield names.forbidden(f"{place}.{source}", "may not specify more than 1 volume type")
        if "hostPath" in volume and ".." in volume["hostPath"].get("path", "").split("/"):
            yield names.invalid(
                f"{place}.hostPath.path", volume["hostPath"]["path"], "must not contain '..'"
            )


def _tolerations(spec: Document, path: str) -> Iterator[Cause]:
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        place = f"{path}.tolerations[{index}]"
        operator = toleration.get("operator") or "Equal"
        if operator not in _TOLERATES:
            yield names.unsupported(f"{place}.operator", operator, _TOLERATES)
        elif operator == "Exists" and toleration.get("value"):
            yield names.invalid(
                f"{place}.operator", toleration["value"],
                "value must be empty when `operator` is 'Exists'",
            )  # fmt: skip
        elif operator == "Equal" and not toleration.get("key"):
            yield names.invalid(
                f"{place}.operator", operator,
                "operator must be Exists when `key` is empty, which means "
                '"match all values and all keys"',
            )  # fmt: skip
        effect = toleration.get("effect")
        if effect and effect not in _EFFECTS:
            yield names.unsupported(f"{place}.effect", effect, _EFFECTS)
        if "tolerationSeconds" in toleration and effect != "NoExecute":
            yield names.invalid(
                f"{place}.effect", effect or "",
                "effect must be 'NoExecute' when `tolerationSeconds` is set",
            )  # fmt: skip


def negative(field: str, holder: Document) -> Cause:
    """The error of a number below zero."""
    value = holder[field.rpartition(".")[2]]
    return names.invalid(field, value, "must be greater than or equal to 0")


def check_update(new: Document, old: Document, path: str = "spec") -> list[Cause]:
    """A pod's spec stays, but for images, deadlines, grace, tolerations and scheduling gates."""
    if new == old:
        return []
    before, after = _fixed(old), _fixed(new)
    tolerations = new.get("tolerations") or []
    causes = []
    if before != after:
        causes.append(
            names.forbidden(
                path,
                "pod updates may not change fields other than "
                "`spec.containers[*].image`,`spec.initContainers[*].image`,"
                "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
                "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it "
                "was previously negative)",
            )
        )
    for toleration in old.get("tolerations") or ():
        if toleration not in tolerations:
            causes.append(
                names.forbidden(
                    f"{path}.tolerations", "existing toleration can not be modified except "
                    "its tolerationSeconds",
                )
            )  # fmt: skip
    return causes


def _fixed(spec: Document) -> Document:
    """What of a spec may not change, in a form that compares."""
    fixed = {
        name: value
        for name, value in spec.items()
        if name not in {"activeDeadlineSeconds", "tolerations", "schedulingGates", "nodeName"}
    }
    for member in ("initContainers", "containers"):
        if member in fixed:
            fixed[member] = [
                {name: value for name, value in container.items() if name != "image"}
                for container in fixed[member]
            ]
    return fixed


def requests_anything(spec: Document) -> Iterator[tuple[Document, Document]]:
    """Requests and limits of each container that counts for the quality of service."""
    for container in containers({**spec, "ephemeralContainers": ()}):
        resources = container.get("resources") or {}
        yield resources.get("requests") or {}, resources.get("limits") or {}


def quality(spec: Document) -> str:
    """``status.qosClass``: of CPU and memory only."""
    guaranteed = True
    anything = False
    for requests, limits in requests_anything(spec):
        for name in ("cpu", "memory"):
            limit = limits.get(name)
            request = requests.get(name, limit)
            if limit or request:
                anything = True
            if not limit or request != limit:
                guaranteed = False
    if not anything:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
