"""What a pod gets once, when it is created: a first status, and selectors that know its labels."""

from collections.abc import Iterable, Iterator

from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery.kinds import qos

PROFILE_BYTES_MAX = 4095
_GATED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
}
_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_APP_ARMOR_OLD = 'deprecated since v1.30; use the "appArmorProfile" field instead'
_LOCALHOST = "localhost/"
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def born(pod: Body) -> list[str]:
    """Complete a pod that is about to be stored; the warnings to give."""
    spec = pod["spec"]
    pod["status"] = {"phase": "Pending", "qosClass": qos.of(spec)}
    if spec.get("schedulingGates"):
        pod["status"]["conditions"] = [dict(_GATED)]
    labels = pod["metadata"].get("labels") or {}
    if labels:
        for term in (*_terms(spec.get("affinity") or {}), *_spreads(spec)):
            _merge(term, labels)
    return list(_profiles(pod["metadata"].get("annotations") or {}, spec))


def _terms(affinity: Body) -> Iterator[Body]:
    for member in ("podAffinity", "podAntiAffinity"):
        both = affinity.get(member) or {}
        for weighted in both.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield weighted.get("podAffinityTerm") or {}
        yield from both.get("requiredDuringSchedulingIgnoredDuringExecution") or ()


def _spreads(spec: Body) -> Iterable[Body]:
    found: Iterable[Body] = spec.get("topologySpreadConstraints") or ()
    return found


def _merge(term: Body, labels: Body) -> None:
    """Have the selector name the values that the pod has of these keys."""
    selector = term.get("labelSelector")
    if selector is None:
        return
    for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
        found = [
            {"key": key, "operator": operator, "values": [labels[key]]}
            for key in term.get(field) or ()
            if key in labels
        ]
        if found:
            selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), *found]


def _profiles(annotations: Body, spec: Body) -> Iterator[str]:
    """AppArmor profiles that are named where they once were become fields."""
    if not any(key.startswith(_APP_ARMOR) for key in annotations):
        return
    if (spec.get("os") or {}).get("name") == "windows":
        return
    of_pod = (spec.get("securityContext") or {}).get("appArmorProfile")
    for member in _CONTAINERS:
        for container in spec.get(member) or ():
            key = f"{_APP_ARMOR}{container.get('name', '')}"
            context = container.get("securityContext") or {}
            if key not in annotations or context.get("appArmorProfile") is not None:
                continue
            profile = _profile(annotations[key])
            if profile is not None and profile == of_pod:
                continue
            if profile is not None:
                container["securityContext"] = {**context, "appArmorProfile": profile}
            yield f"metadata.annotations[{key}]: {_APP_ARMOR_OLD}"


def _profile(text: str) -> Body | None:
    """The field that an annotation means; None when it means nothing that is allowed."""
    if text == "unconfined":
        return {"type": "Unconfined"}
    if text == "runtime/default":
        return {"type": "RuntimeDefault"}
    name = text.removeprefix(_LOCALHOST)
    if name == text or not name or name != name.strip() or len(name) > PROFILE_BYTES_MAX:
        return None
    return {"type": "Localhost", "localhostProfile": name}
