"""``scale``: the replicas of a workload as an autoscaling/v1 Scale."""

from typing import Any

import msgspec

from pilothouse.services.apiserver.kinds import replicas
from pilothouse.services.apiserver.kinds.custom import ScalePaths
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.requests import Stored
from pilothouse.services.machinery.errors import (
    BadRequest,
    InternalError,
    Invalid,
    NotFound,
    Subject,
)
from pilothouse.services.machinery.fields import fieldset
from pilothouse.services.machinery.fields.managers import Managed
from pilothouse.services.machinery.names import invalid

Document = dict[str, Any]

DEFINITION = "io.k8s.api.autoscaling.v1.Scale"
KIND = Kind("autoscaling", "v1", "scales", "scale", "Scale", namespaced=True, definition=DEFINITION)
_REPLICAS = ("spec", "replicas")
_GROUPS = {"deployments": "apps", "replicasets": "apps", "replicationcontrollers": "autoscaling"}
_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(document: Document) -> Document:
    """The Scale of a Deployment, ReplicaSet, ReplicationController or StatefulSet."""
    spec, status = document.get("spec") or {}, document.get("status") or {}
    shown: Document = {"replicas": status.get("replicas", 0)}
    selector = _selector(spec.get("selector") or {})
    if selector:
        shown["selector"] = selector
    return _scale(document["metadata"], {"replicas": spec.get("replicas", 0)}, shown)


def custom_scale(document: Document, paths: ScalePaths, *, whole: bool = True) -> Document:
    """The Scale of a custom object; with ``whole`` its wanted replicas must be there.

    Raises:
        InternalError: as the real server, where they are not or are no number.
    """
    try:
        wanted = replicas.find(document, paths.spec_replicas, int)
        found = replicas.find(document, paths.status_replicas, int)
        selector = replicas.find(document, paths.selector, str) if paths.selector else ""
    except replicas.Unfit as error:
        raise InternalError(f"Internal error occurred: {error}") from None
    if wanted is None and whole:
        where = "." + ".".join(paths.spec_replicas)
        told = f'the spec replicas field "{where}" does not exist'
        raise InternalError(f"Internal error occurred: {told}")
    shown: Document = {"replicas": found or 0}
    if selector:
        shown["selector"] = selector
    spec = {} if wanted is None else {"replicas": wanted}
    return _scale(document["metadata"], spec, shown)


def of(kind: Kind, document: Document, *, whole: bool = True) -> Document:
    """The Scale of an object of ``kind``."""
    custom = kind.custom
    if custom is None or custom.scale is None:
        return scale_of(document)
    return custom_scale(document, custom.scale, whole=whole)


def _scale(metadata: Document, spec: Document, status: Document) -> Document:
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in _METADATA if name in metadata},
        "spec": spec,
        "status": status,
    }


def scaled(kind: Kind, document: Document, scale: Document) -> Document:
    """The workload, which is a ``kind``, with the replicas of a Scale.

    Raises:
        BadRequest: it is not a Scale.
        Invalid: fewer than none.
    """
    if scale.get("kind", "Scale") != "Scale":
        raise BadRequest(f"expected a Scale, got a {scale['kind']}")
    wanted = (scale.get("spec") or {}).get("replicas", 0)
    if wanted < 0:
        name = document["metadata"]["name"]
        cause = invalid("spec.replicas", wanted, "must be greater than or equal to 0")
        raise Invalid(
            f'Scale.autoscaling "{name}" is invalid: {cause.field}: {cause.message}',
            subject=Subject(group="autoscaling", kind="Scale", name=name),
            causes=[cause],
        )
    path = replicas_path(kind)
    if kind.custom is not None and "replicas" not in (scale.get("spec") or {}):
        raise BadRequest(f'the spec replicas field ".{".".join(path)}" cannot be empty')
    return replicas.replace(document, path, wanted)


def show(kind: Kind, stored: Stored) -> Stored:
    """A workload's bytes as those of its Scale."""
    shown = of(kind, msgspec.json.decode(stored.json))
    return Stored(stored.key, stored.revision, msgspec.json.encode(shown))


def not_found(kind: Kind, name: str, why: NotFound) -> NotFound:
    """What readers of the scale of an object that is not there are told, as upstream has it."""
    group = _GROUPS.get(kind.plural) if kind.custom is None else None
    if group is None:
        return why
    plural = f"{kind.plural}/scale"
    subject = Subject(group=group, kind=plural, name=name)
    return NotFound(f'{plural}.{group} "{name}" not found', subject=subject)


def replicas_path(kind: Kind) -> tuple[str, ...]:
    """Where objects of ``kind`` keep the replicas that are wanted."""
    custom = kind.custom
    return _REPLICAS if custom is None or custom.scale is None else custom.scale.spec_replicas


def applied(kind: Kind, scale: Document) -> Document:
    """An applied Scale as a configuration of its workload: just the replicas."""
    wanted = (scale.get("spec") or {}).get("replicas")
    value: Any = wanted
    for name in reversed(replicas_path(kind)):
        value = {name: value}
    head = {"apiVersion": kind.api_version, "kind": kind.kind}
    named = scale.get("metadata") or {}
    conditions = {name: named[name] for name in ("uid", "resourceVersion") if named.get(name)}
    return {**head, "metadata": conditions, **({} if wanted is None else value)}


def with_owner(managed: Managed, kind: Kind, before: Managed) -> Managed:
    """The managers of a workload; replicas that are nobody's are those of who was ``before``."""
    path = replicas_path(kind)
    elements = tuple(f"f:{name}" for name in path)
    if any(fieldset.has(owned.fields, elements) for owned in managed.values()):
        return managed
    own = fieldset.of_paths(path)
    mine = {who: fieldset.intersection(owned.fields, own) for who, owned in before.items()}
    return {**managed, **{who: before[who].having(own) for who, has in mine.items() if has}}


def _selector(selector: Document) -> str:
    """A LabelSelector, or the plain map of a ReplicationController, as text."""
    plain = "matchLabels" not in selector and "matchExpressions" not in selector
    equal = selector if plain else selector.get("matchLabels") or {}
    parts = [f"{key}={value}" for key, value in sorted(equal.items())]
    for item in () if plain else selector.get("matchExpressions") or ():
        key, values = item["key"], ",".join(item.get("values") or ())
        parts.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }.get(item["operator"], key)
        )
    return ",".join(parts)
