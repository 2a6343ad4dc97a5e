"""What the writer of a pod, or of a template of pods, is told although it is allowed."""

from collections.abc import Iterable, Iterator
from typing import Any

from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names, quantity

NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region":
        'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone":
        'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type":
        'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods":
        "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}  # fmt: skip
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod":
        'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls":
        'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls":
        'non-functional in v1.11+; use the "sysctls" field instead',
}  # fmt: skip
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP = "container.seccomp.security.alpha.kubernetes.io/"
_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_GONE = 'non-functional in v1.27+; use the "seccompProfile" field instead'
_APP_ARMOR_OLD = 'deprecated since v1.30; use the "appArmorProfile" field instead'
VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
VOLUMES_SHOWN = {"storageos": "storageOS"}
_NO_SELECTOR = "a null labelSelector results in matching no pod"
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_PLACING = frozenset({"nodeSelector", "affinity", "topologySpreadConstraints"})
_AMOUNTS = ("limits", "requests")
_WHOLE = ("memory", "ephemeral-storage")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def warn(metadata: Body, spec: Body, path: str = "") -> list[str]:
    """Of the pod, or of the template at ``path``, which then ends with a dot."""
    annotations = metadata.get("annotations") or {}
    at = f"{path}spec"
    # Most pods have few of all these members, and every new one passes here.
    told = [] if _PLACING.isdisjoint(spec) else list(_placement(spec, at))
    if annotations:
        told += [
            f"{path}metadata.annotations[{key}]: {text}"
            for key, text in _ANNOTATIONS.items()
            if key in annotations
        ]
    if spec.get("volumes"):
        told += _volumes(spec["volumes"], f"{at}.volumes")
    told += _twice(spec.get("hostAliases") or (), "ip", f"{at}.hostAliases")
    pulls = spec.get("imagePullSecrets") or ()
    told += _twice(pulls, "name", f"{at}.imagePullSecrets")
    told += [
        f'{at}.imagePullSecrets[{index}].name: invalid empty name ""'
        for index, item in enumerate(pulls)
        if not item.get("name")
    ]
    told += _fractions(spec.get("overhead") or {}, f"{at}.overhead")
    if annotations:
        told += _profiles(annotations, spec, path)
    for where, container in _containers(spec, at):
        resources = container.get("resources") or {}
        for member in _AMOUNTS:
            if amounts := resources.get(member):
                told += _fractions(amounts, f"{where}.resources.{member}")
        if len(container.get("env") or ()) > 1:
            told += _hidden(container["env"], f"{where}.env")
    told += _ports(spec, at)
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        detail = "must be >= 0; negative values are invalid and will be treated as 1"
        told.append(f"{at}.terminationGracePeriodSeconds: {detail}")
    if spec.get("affinity"):
        told += _affinities(spec["affinity"], f"{at}.affinity")
    return told


def _containers(spec: Body, at: str) -> Iterator[tuple[str, Body]]:
    for member in _CONTAINERS:
        for index, container in enumerate(spec.get(member) or ()):
            yield f"{at}.{member}[{index}]", container


def _placement(spec: Body, at: str) -> Iterator[str]:
    for key in spec.get("nodeSelector") or ():
        if key in NODE_LABELS:
            yield f"{at}.nodeSelector[{key}]: {NODE_LABELS[key]}"
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    where = f"{at}.affinity.nodeAffinity"
    terms = (affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()
    for index, term in enumerate(terms):
        yield from warn_of_term(term, f"{where}.{_REQUIRED}.nodeSelectorTerms[{index}]")
    for index, term in enumerate(affinity.get(_PREFERRED) or ()):
        found = f"{where}.{_PREFERRED}[{index}].preference"
        yield from warn_of_term(term.get("preference") or {}, found, values=True)
    for index, item in enumerate(spec.get("topologySpreadConstraints") or ()):
        found, key = f"{at}.topologySpreadConstraints[{index}]", item.get("topologyKey", "")
        if key in NODE_LABELS:
            yield f"{found}.topologyKey: {key} is {NODE_LABELS[key]}"
        if item.get("labelSelector") is None:
            yield f"{found}.labelSelector: {_NO_SELECTOR}"


def warn_of_term(term: Body, path: str, *, values: bool = False) -> Iterator[str]:
    """Old labels of nodes, and with ``values`` what no label can have."""
    for index, item in enumerate(term.get("matchExpressions") or ()):
        where, key = f"{path}.matchExpressions[{index}]", item.get("key", "")
        if key in NODE_LABELS:
            yield f"{where}.key: {key} is {NODE_LABELS[key]}"
        for number, value in enumerate(item.get("values") or ()) if values else ():
            if wrong := names.label_value(value):
                yield f"{where}.values[{number}]: {value} is invalid, {wrong}"


def _volumes(volumes: Iterable[Body], path: str) -> Iterator[str]:
    tokens = {
        source["serviceAccountToken"].get("path")
        for volume in volumes
        for source in (volume.get("projected") or {}).get("sources") or ()
        if source.get("serviceAccountToken")
    }
    shadowed: list[str] = []
    for index, volume in enumerate(volumes):
        where = f"{path}[{index}]"
        for name in VOLUMES.keys() & volume.keys():
            yield f"{where}.{VOLUMES_SHOWN.get(name, name)}: {VOLUMES[name]}"
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template is not None:
            at = f"{where}.ephemeral.volumeClaimTemplate.spec"
            yield from warn_of_claim(template.get("spec") or {}, at)
        if tokens and volume.get("projected"):
            shadowed += _shadowed(volume["projected"], tokens, f"{where}.projected.sources")
    yield from shadowed


def _shadowed(projected: Body, tokens: set[Any], path: str) -> Iterator[str]:
    """Files that stand where a token is."""
    for source in projected.get("sources") or ():
        for member, shown in (
            ("configMap", "configMap"), ("secret", "secrets"), ("downwardAPI", "downwardAPI")
        ):  # fmt: skip
            for index, item in enumerate((source.get(member) or {}).get("items") or ()):
                if (found := item.get("path")) in tokens:
                    yield (
                        f"{path}.{shown}[{index}]: has duplicated path with ServiceAccountToken "
                        f'"{found}"'
                    )
        found = (source.get("clusterTrustBundle") or {}).get("path")
        if found in tokens:
            detail = f'has duplicated path with ServiceAccountToken "{found}"'
            yield f"{path}.ClusterTrustBundle: {detail}"


def warn_of_claim(spec: Body, path: str) -> list[str]:
    """A claim's storage is of whole bytes."""
    resources = spec.get("resources") or {}
    return [
        warning
        for member in ("requests", "limits")
        for warning in _fractions(
            resources.get(member) or {}, f"{path}.resources.{member}", ("storage",)
        )
    ]


def _twice(items: Iterable[Body], member: str, path: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, item in enumerate(items):
        value = item.get(member, "")
        if value in seen:
            yield f'{path}[{index}].{member}: duplicate {member} "{value}"'
        seen.add(value)


def _fractions(amounts: Body, path: str, resources: Iterable[str] = _WHOLE) -> Iterator[str]:
    for name in resources:
        # A thousandth of a byte is nothing; who wrote 100m meant another unit.
        if name in amounts and quantity.milli(amounts[name]) % 1000:
            shown = quantity.canonical(amounts[name])
            yield f'{path}[{name}]: fractional byte value "{shown}" is invalid, must be an integer'


def _profiles(annotations: Body, spec: Body, path: str) -> Iterator[str]:
    at = f"{path}metadata.annotations"
    own = spec.get("securityContext") or {}
    if _SECCOMP_POD in annotations and own.get("seccompProfile") is None:
        yield f"{at}[{_SECCOMP_POD}]: {_SECCOMP_GONE}"
    for _, container in _containers(spec, ""):
        context, name = container.get("securityContext") or {}, container.get("name", "")
        if f"{_SECCOMP}{name}" in annotations and context.get("seccompProfile") is None:
            yield f"{at}[{_SECCOMP}{name}]: {_SECCOMP_GONE}"
        # Those of a pod become fields, which is told where that is done.
        chosen = own.get("appArmorProfile") or context.get("appArmorProfile")
        if path and f"{_APP_ARMOR}{name}" in annotations and chosen is None:
            yield f"{at}[{_APP_ARMOR}{name}]: {_APP_ARMOR_OLD}"


def _hidden(variables: Iterable[Body], path: str) -> Iterator[str]:
    """Variables that are set again, and not with their own value in it."""
    seen: set[str] = set()
    for index, item in enumerate(variables):
        name, value = item.get("name", ""), item.get("value") or ""
        reference = f"$({name})"
        if name in seen and (
            item.get("valueFrom") is not None or value == reference or reference not in value
        ):
            detail = f'hides previous definition of "{name}", which may be dropped when using apply'
            yield f"{path}[{index}]: {detail}"
        seen.add(name)


def _ports(spec: Body, at: str) -> Iterator[str]:
    seen: dict[tuple[Any, Any], list[tuple[str, Body]]] = {}
    for where, container in _containers(spec, at):
        for index, port in enumerate(container.get("ports") or ()):
            field = f"{where}.ports[{index}]"
            if port.get("hostIP") and not port.get("hostPort"):
                yield f"{field}: hostIP set without hostPort: {_shown(port)}"
            others = seen.setdefault((port.get("containerPort"), port.get("protocol")), [])
            for other, earlier in others:
                if word := _clash(port, earlier):
                    yield f"{field}: {word} port definition with {other}"
            others.append((field, port))


def _clash(port: Body, other: Body) -> str:
    ours, theirs = port.get("hostPort") or 0, other.get("hostPort") or 0
    here, there = port.get("hostIP") or "", other.get("hostIP") or ""
    if (ours, here) == (theirs, there):
        return "duplicate"
    if not ours or not theirs:
        return "overlapping"
    ambiguous = ours == theirs and bool(here) != bool(there)
    return "dangerously ambiguous" if ambiguous else ""


def _shown(port: Body) -> str:
    """A port as Go prints it."""
    return (
        f"{{Name:{port.get('name', '')} HostPort:{port.get('hostPort', 0)} "
        f"ContainerPort:{port.get('containerPort', 0)} Protocol:{port.get('protocol', '')} "
        f"HostIP:{port.get('hostIP', '')}}}"
    )


def _affinities(affinity: Body, path: str) -> Iterator[str]:
    for member in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(member) or {}
        for index, term in enumerate(terms.get(_REQUIRED) or ()):
            if term.get("labelSelector") is None:
                yield f"{path}.{member}.{_REQUIRED}[{index}].labelSelector: {_NO_SELECTOR}"
        for index, term in enumerate(terms.get(_PREFERRED) or ()):
            if (term.get("podAffinityTerm") or {}).get("labelSelector") is None:
                where = f"{path}.{member}.{_PREFERRED}[{index}].podAffinityTerm"
                yield f"{where}.labelSelector: {_NO_SELECTOR}"
