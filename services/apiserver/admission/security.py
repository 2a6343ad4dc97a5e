"""PodSecurity: pods keep to the standard that their namespace's labels name."""

from collections.abc import Mapping

import msgspec

from pilothouse.services.apiserver.admission.podsecurity import checks
from pilothouse.services.apiserver.admission.podsecurity.levels import PREFIX, Level, policy_of
from pilothouse.services.apiserver.admission.podsecurity.pod import PodView
from pilothouse.services.apiserver.admission.request import Admission, Document
from pilothouse.services.machinery.errors import Invalid, Subject
from pilothouse.services.machinery.objects import Key, Object

PODS_MAX = 3000
_LABEL = PREFIX.encode()
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "podtemplates": ("template",),
    "replicationcontrollers": ("spec", "template"),
    "replicasets": ("spec", "template"),
    "deployments": ("spec", "template"),
    "daemonsets": ("spec", "template"),
    "statefulsets": ("spec", "template"),
    "jobs": ("spec", "template"),
    "cronjobs": ("spec", "jobTemplate", "spec", "template"),
}
_decoder = msgspec.json.Decoder(Object)


def _labels(request: Admission) -> Mapping[str, str]:
    """The namespace's labels, when some are about pod security."""
    stored = request.live.find("", "namespaces", Key("", request.key.namespace))
    if stored is None or _LABEL not in stored.json:
        return {}
    return _decoder.decode(stored.json).metadata.labels


def review_pod(request: Admission) -> None:
    """Forbidden when the pod breaks what is enforced; else a warning of what would be broken."""
    labels = _labels(request)
    if not labels or not _significant(request):
        return
    policy = policy_of(labels)
    pod = PodView(request.document["metadata"], request.document["spec"])
    found = checks.verdict(policy.enforce, pod)
    if found:
        raise request.forbidden(f'violates PodSecurity "{policy.enforce}": {checks.detail(found)}')
    _warn(request, policy.warn, pod)


def _significant(request: Admission) -> bool:
    """An update matters when it changes containers."""
    if request.old is None or request.subresource:
        return True
    after, before = request.document["spec"], request.old["spec"]
    members = ("initContainers", "containers", "ephemeralContainers")
    return any(after.get(member) != before.get(member) for member in members)


def review_template(request: Admission) -> None:
    """Owners of pods are only warned: their pods are what is refused."""
    labels = _labels(request)
    if not labels:
        return
    template: Document = request.document
    for step in _TEMPLATES[request.kind.plural]:
        template = template.get(step) or {}
    if template:
        pod = PodView(template.get("metadata") or {}, template.get("spec") or {})
        _warn(request, policy_of(labels).warn, pod)


def _warn(request: Admission, level: Level, pod: PodView) -> None:
    found = checks.verdict(level, pod)
    if found:
        request.warnings.append(f'would violate PodSecurity "{level}": {checks.detail(found)}')


def review_namespace(request: Admission) -> None:
    """Its labels can be read; when it becomes stricter, a warning of the pods that are too free."""
    labels = request.document["metadata"].get("labels") or {}
    policy = policy_of(labels)
    old = (request.old or {}).get("metadata", {}).get("labels") or {}
    if request.old is not None and {k: v for k, v in labels.items() if k.startswith(PREFIX)} == {
        k: v for k, v in old.items() if k.startswith(PREFIX)
    }:
        return
    before = policy_of(old)
    if policy.causes and policy.causes != before.causes:
        name = request.key.name
        told = [f"{cause.field}: {cause.message}" for cause in policy.causes]
        shown = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
        raise Invalid(
            f'Namespace "{name}" is invalid: {shown}',
            subject=Subject(kind="Namespace", name=name),
            causes=policy.causes,
        )
    enforce, was = policy.enforce, before.enforce
    relaxed = enforce.minor == was.minor and enforce.strictness <= was.strictness
    if request.old is None or enforce.name == "privileged" or relaxed:
        return
    request.warnings.extend(_present(request, enforce))


def _present(request: Admission, level: Level) -> list[str]:
    """What is there already and would not come in again."""
    pods: dict[str, list[str]] = {}
    for stored in request.live.objects("", "pods", request.key.name)[:PODS_MAX]:
        document = msgspec.json.decode(stored.json)
        found = checks.verdict(level, PodView(document["metadata"], document["spec"]))
        if found:
            pods.setdefault(checks.reasons(found), []).append(stored.key.name)
    if not pods:
        return []
    told = []
    for reason, named in pods.items():
        first, others = min(named), len(named) - 1
        more = f" (and {others} other pod{'s' if others > 1 else ''})" if others else ""
        told.append(f"{first}{more}: {reason}")
    head = f'existing pods in namespace "{request.key.name}" violate the new PodSecurity enforce '
    return [f'{head}level "{level}"', *sorted(told)]


TEMPLATES = tuple(_TEMPLATES)
