"""Nobody gives away, by a role or a binding, what he does not have himself."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from pilothouse.services.apiserver.admission.request import Admission, Document
from pilothouse.services.machinery.errors import NotFound, Subject
from pilothouse.services.machinery.objects import Key

GROUP = "rbac.authorization.k8s.io"
_ROLES = frozenset({"roles", "clusterroles"})
_BINDINGS = frozenset({"rolebindings", "clusterrolebindings"})


def concerns(request: Admission) -> bool:
    """Whether the write could hand out rights."""
    if request.kind.group != GROUP or "system:masters" in request.user.groups:
        return False
    if request.old is None:
        return True
    fields = ("rules", "aggregationRule", "roleRef", "subjects")
    return any(request.document.get(field) != request.old.get(field) for field in fields)


def excuse(request: Admission) -> tuple[str, str, str] | None:
    """The verb, plural and name that would allow the write whatever it grants."""
    plural = request.kind.plural
    if plural in _ROLES:
        return "escalate", plural, request.key.name
    if plural in _BINDINGS:
        role, name = _reference(request.document)
        return "bind", role, name
    return None


def _reference(binding: Document) -> tuple[str, str]:
    reference = binding.get("roleRef") or {}
    role = "clusterroles" if reference.get("kind") == "ClusterRole" else "roles"
    return role, reference.get("name", "")


def _granted(request: Admission) -> Sequence[Document]:
    """The rules that the write hands out."""
    if request.kind.plural in _ROLES:
        return request.document.get("rules") or ()
    role, name = _reference(request.document)
    where = request.key.namespace if role == "roles" else ""
    stored = request.live.find(GROUP, role, Key(where, name))
    if stored is None:
        raise NotFound(f'{role}.{GROUP} "{name}" not found', subject=Subject(GROUP, role, name))
    return msgspec.json.decode(stored.json).get("rules") or ()


def review(request: Admission, held: Iterable[Mapping[str, Any]]) -> None:
    """Forbidden when rights would be granted that are not among ``held``, the writer's own."""
    own = list(held)
    missing = [
        rule for rule in _atoms(_granted(request)) if not any(_covers(one, rule) for one in own)
    ]
    if missing:
        user = request.user
        groups = " ".join(f'"{group}"' for group in user.groups)
        told = "\n".join(map(_shown, missing))
        raise request.forbidden(
            f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not '
            f"currently held:\n{told}"
        )


def _atoms(rules: Sequence[Document]) -> Iterable[Document]:
    """Rules of one verb on one thing each."""
    for rule in rules:
        for verb in rule.get("verbs") or ():
            for url in rule.get("nonResourceURLs") or ():
                yield {"verbs": [verb], "nonResourceURLs": [url]}
            for group in rule.get("apiGroups") or ():
                for resource in rule.get("resources") or ():
                    atom = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
                    for name in rule.get("resourceNames") or [None]:
                        yield {**atom, "resourceNames": [name]} if name else atom


def _covers(own: Mapping[str, Any], atom: Document) -> bool:
    verbs = own.get("verbs") or ()
    if "*" not in verbs and atom["verbs"][0] not in verbs:
        return False
    if urls := atom.get("nonResourceURLs"):
        return any(_url_covers(pattern, urls[0]) for pattern in own.get("nonResourceURLs") or ())
    groups = own.get("apiGroups") or ()
    if "*" not in groups and atom["apiGroups"][0] not in groups:
        return False
    resource, names = atom["resources"][0], own.get("resourceNames") or ()
    resources = own.get("resources") or ()
    part = resource.partition("/")[2]
    if not {"*", resource, f"*/{part}" if part else resource} & set(resources):
        return False
    return not names or (atom.get("resourceNames") or [None])[0] in names


def _url_covers(pattern: str, url: str) -> bool:
    return pattern in ("*", url) or (pattern.endswith("*") and url.startswith(pattern[:-1]))


def _shown(rule: Document) -> str:
    fields = (
        ("APIGroups", "apiGroups"), ("Resources", "resources"),
        ("ResourceNames", "resourceNames"), ("NonResourceURLs", "nonResourceURLs"),
        ("Verbs", "verbs"),
    )  # fmt: skip
    parts = []
    for shown, field in fields:
        if rule.get(field):
            values = " ".join(f'"{value}"' for value in rule[field])
            parts.append(f"{shown}:[{values}]")
    return "{" + ", ".join(parts) + "}"
