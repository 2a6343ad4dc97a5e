"""Role-based access control: roles and bindings compiled to a policy, and what it grants. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pilothouse.services.apiserver.chain.attributes import Attributes, Decision
from pilothouse.services.apiserver.requests import User

Document: TypeAlias = Mapping[str, Any]
ALL = "*"


@dataclass(frozen=True, slots=True)
class Rule:
    """One ``PolicyRule``, ready to be matched."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]
    paths: tuple[str, ...]

    def matches(self, attributes: Attributes) -> bool:
        """Whether this rule alone allows it."""
        if attributes.verb not in self.verbs and ALL not in self.verbs:
            return False
        if attributes.path:
            return any(_path_matches(path, attributes.path) for path in self.paths)
        if attributes.group not in self.groups and ALL not in self.groups:
            return False
        if self.names and attributes.name not in self.names:
            return False
        return self._takes_resource(attributes)

    def _takes_resource(self, attributes: Attributes) -> bool:
        if ALL in self.resources or attributes.qualified in self.resources:
            return True
        return bool(attributes.subresource) and f"*/{attributes.subresource}" in self.resources


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in (ALL, path) or (pattern.endswith(ALL) and path.startswith(pattern[:-1]))


@dataclass(frozen=True, slots=True)
class Grant:
    """A role's rules as one binding hands them out; ``namespace`` empty: everywhere."""

    namespace: str
    rules: tuple[Rule, ...]
    documents: tuple[Document, ...]
    told: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Every grant, by the subject that has it: ``("User", name)`` or ``("Group", name)``."""

    grants: Mapping[tuple[str, str], tuple[Grant, ...]] = field(default_factory=dict)

    def decide(self, user: User, attributes: Attributes) -> Decision:
        """Allowed by the first rule that matches; there are no rules that deny."""
        for grant in self.grants_of(user, attributes.namespace):
            for rule in grant.rules:
                if rule.matches(attributes):
                    return Decision(allowed=True, reason=grant.told)
        return Decision(allowed=False)

    def grants_of(self, user: User, namespace: str) -> Iterator[Grant]:
        """What holds for ``user`` in ``namespace``, cluster-wide grants included."""
        subjects = [("User", user.name), *(("Group", group) for group in user.groups)]
        for subject in subjects:
            for grant in self.grants.get(subject, ()):
                if not grant.namespace or grant.namespace == namespace:
                    yield grant


@dataclass(frozen=True, slots=True)
class Sources:
    """The decoded objects of the four kinds that make a policy."""

    cluster_roles: Iterable[Document] = ()
    roles: Iterable[Document] = ()
    cluster_role_bindings: Iterable[Document] = ()
    role_bindings: Iterable[Document] = ()


def compile_policy(sources: Sources) -> Policy:
    """The policy of these roles and bindings; a binding to a missing role grants nothing."""
    documents: dict[tuple[str, str, str], tuple[Document, ...]] = {}
    for role in sources.cluster_roles:
        documents[("ClusterRole", "", role["metadata"]["name"])] = tuple(role.get("rules") or ())
    for role in sources.roles:
        where = role["metadata"]
        documents[("Role", where["namespace"], where["name"])] = tuple(role.get("rules") or ())
    rules = {key: tuple(map(_rule, listed)) for key, listed in documents.items()}
    grants: dict[tuple[str, str], list[Grant]] = {}
    for binding in (*sources.cluster_role_bindings, *sources.role_bindings):
        reference = binding.get("roleRef") or {}
        namespace = binding["metadata"].get("namespace", "")
        kind = reference.get("kind", "")
        key = (kind, namespace if kind == "Role" else "", reference.get("name", ""))
        if key not in rules:
            continue
        grant = Grant(namespace, rules[key], documents[key], _told(binding, reference))
        for subject in binding.get("subjects") or ():
            grants.setdefault(_subject(subject, namespace), []).append(grant)
    return Policy({subject: tuple(listed) for subject, listed in grants.items()})


def _rule(document: Document) -> Rule:
    return Rule(
        verbs=frozenset(document.get("verbs") or ()),
        groups=frozenset(document.get("apiGroups") or ()),
        resources=frozenset(document.get("resources") or ()),
        names=frozenset(document.get("resourceNames") or ()),
        paths=tuple(document.get("nonResourceURLs") or ()),
    )


def _subject(subject: Document, namespace: str) -> tuple[str, str]:
    if subject.get("kind") == "ServiceAccount":
        where = subject.get("namespace") or namespace
        return "User", f"system:serviceaccount:{where}:{subject.get('name', '')}"
    return subject.get("kind", ""), subject.get("name", "")


def _told(binding: Document, reference: Document) -> str:
    where = binding["metadata"].get("namespace")
    kind = "RoleBinding" if where else "ClusterRoleBinding"
    name = binding["metadata"]["name"] + (f"/{where}" if where else "")
    return f'RBAC: allowed by {kind} "{name}" of {reference.get("kind")} "{reference.get("name")}"'
