"""RuntimeClass: overhead and scheduling of pods that name a class."""

import msgspec

from pilothouse.services.apiserver.admission.request import Admission
from pilothouse.services.machinery.objects import Key


def admit(request: Admission) -> None:
    """Write the class's overhead and scheduling into the pod; Forbidden when they disagree."""
    spec = request.document["spec"]
    name = spec.get("runtimeClassName")
    if not name:
        if spec.get("overhead"):
            raise request.forbidden(
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            )
        return
    stored = request.live.find("node.k8s.io", "runtimeclasses", Key("", name))
    if stored is None:
        raise request.forbidden(f'pod rejected: RuntimeClass "{name}" not found')
    found = msgspec.json.decode(stored.json)
    overhead = (found.get("overhead") or {}).get("podFixed")
    given = spec.get("overhead")
    if given and given != overhead:
        words = (
            "Pod's Overhead doesn't match RuntimeClass's defined Overhead"
            if overhead
            else "Pod Overhead set without corresponding RuntimeClass defined Overhead"
        )
        raise request.forbidden(f"pod rejected: {words}")
    if overhead:
        spec["overhead"] = overhead
    scheduling = found.get("scheduling") or {}
    _select(request, scheduling.get("nodeSelector") or {})
    for toleration in scheduling.get("tolerations") or ():
        if toleration not in (spec.get("tolerations") or ()):
            spec.setdefault("tolerations", []).append(toleration)


def _select(request: Admission, wanted: dict[str, str]) -> None:
    if not wanted:
        return
    selector = request.document["spec"].setdefault("nodeSelector", {})
    for key, value in wanted.items():
        if selector.get(key, value) != value:
            raise request.forbidden(
                f"pod rejected: conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {selector[key]}"
            )
        selector[key] = value
