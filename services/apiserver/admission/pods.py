"""Pods get a priority from their class, and five minutes on a node that is lost."""

import msgspec

from pilothouse.services.apiserver.admission.request import Admission, Document
from pilothouse.services.machinery.errors import Forbidden
from pilothouse.services.machinery.kinds.nodes import NOT_READY, UNREACHABLE
from pilothouse.services.machinery.objects import Key, Metadata, View

TOLERATION_SECONDS = 300
_SCHEDULING = "scheduling.k8s.io"
_CLASSES = "priorityclasses"


class _PriorityClass(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    value: int = 0
    global_default: bool = False
    preemption_policy: str = "PreemptLowerPriority"


_decoder = msgspec.json.Decoder(_PriorityClass)


def admit_priority(request: Admission) -> None:
    """Write the class's number into the spec; Forbidden for a class that is not there."""
    spec = request.document["spec"]
    name = spec.get("priorityClassName", "")
    found = _named(request, name) if name else _default(request)
    value = found.value if found else 0
    if spec.get("priority") not in (None, value):
        raise _forbidden(
            request,
            f"the integer value of priority ({spec['priority']}) must not be provided in pod "
            f"spec; priority admission controller computed {value} from the given PriorityClass "
            "name",
        )
    spec["priority"] = value
    spec.setdefault(
        "preemptionPolicy", found.preemption_policy if found else "PreemptLowerPriority"
    )
    if found is not None and not name:
        spec["priorityClassName"] = found.metadata.name


def _named(request: Admission, name: str) -> _PriorityClass:
    stored = request.live.find(_SCHEDULING, _CLASSES, Key("", name))
    if stored is None:
        raise _forbidden(request, f"no PriorityClass with name {name} was found")
    return _decoder.decode(stored.json)


def _default(request: Admission) -> _PriorityClass | None:
    """The global default; of several the lowest, as upstream has it."""
    classes = map(
        _decoder.decode, (item.json for item in request.live.objects(_SCHEDULING, _CLASSES))
    )
    return min(
        (item for item in classes if item.global_default),
        key=lambda item: item.value,
        default=None,
    )


def _forbidden(request: Admission, why: str) -> Forbidden:
    name = request.key.name
    return Forbidden(f'pods "{name}" is forbidden: {why}', subject=request.kind.subject(name))


def admit_tolerations(request: Admission) -> None:
    """Tolerate a lost node for a while, unless the pod says otherwise."""
    spec = request.document["spec"]
    tolerations: list[Document] = list(spec.get("tolerations") or ())
    for key in (NOT_READY, UNREACHABLE):
        if not any(_speaks_of(key, item) for item in tolerations):
            tolerations.append(
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": TOLERATION_SECONDS,
                }
            )
    spec["tolerations"] = tolerations


def _speaks_of(key: str, toleration: Document) -> bool:
    return toleration.get("key") in (key, None, "") and toleration.get("effect") in (
        "NoExecute",
        None,
        "",
    )
