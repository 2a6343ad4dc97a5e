"""Which kinds are served, found by the words of a path; it can grow while the server runs."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pilothouse.services.apiserver.kinds.builtin import TABLE
from pilothouse.services.apiserver.kinds.kind import FULL, Kind, Subresource
from pilothouse.services.machinery.errors import NotFound

_CHANGE = ("get", "patch", "update")
_CONNECT = ("create", "get")
_SHARED = {
    "scale": Subresource("autoscaling", "v1", "Scale", _CHANGE),
    "binding": Subresource("", "v1", "Binding", ("create",)),
    "eviction": Subresource("policy", "v1", "Eviction", ("create",)),
    "token": Subresource("authentication.k8s.io", "v1", "TokenRequest", ("create",)),
    "attach": Subresource("", "v1", "PodAttachOptions", _CONNECT),
    "exec": Subresource("", "v1", "PodExecOptions", _CONNECT),
    "portforward": Subresource("", "v1", "PodPortForwardOptions", _CONNECT),
}
_OWN_VERBS = {"finalize": ("update",), "log": ("get",)}
_PROXY_KINDS = {"Pod": "PodProxyOptions", "Node": "NodeProxyOptions"}
_PROXY = ("create", "delete", "get", "patch", "update")
_PACKAGES = {
    "": "io.k8s.api.core",
    "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration.k8s.io": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
}


_VERSION = re.compile(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?")
_STAGES = {None: 2, "beta": 1, "alpha": 0}


class Catalog:
    """All kinds. ``generation`` grows with every change, so that what is made of them can be kept.

    The groups of the kinds it begins with have priority, in their order; later ones follow by name.
    """

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self.generation = 0
        self._kinds: dict[tuple[str, str, str], Kind] = {}
        for kind in kinds:
            self.add(kind)
        self._first = {group: None for group, _, _ in self._kinds}
        self._groups: tuple[int, dict[str, list[str]]] = (-1, {})

    def add(self, kind: Kind) -> None:
        """Serve ``kind`` from now on, in the place of one of the same path."""
        self.generation += 1
        self._kinds[(kind.group, kind.version, kind.plural)] = kind

    def remove(self, kind: Kind) -> None:
        """Serve it no longer."""
        if self._kinds.pop((kind.group, kind.version, kind.plural), None) is not None:
            self.generation += 1

    def lookup(self, group: str, version: str, plural: str) -> Kind:
        """The kind of that path; NotFound with the words of the real server."""
        kind = self._kinds.get((group, version, plural))
        if kind is None:
            raise NotFound("the server could not find the requested resource")
        return kind

    def stored(self, kind: Kind) -> Kind:
        """The kind in whose shape and place objects of ``kind`` rest: mostly itself."""
        if kind.rests is not None:
            return kind.rests
        if not kind.stored_as:
            return kind
        group, _, version = kind.stored_as.rpartition("/")
        return self.lookup(group, version, kind.plural)

    def all(self) -> Iterator[Kind]:
        """Every kind, groups in order of priority."""
        return iter(tuple(self._kinds.values()))

    def of_version(self, group: str, version: str) -> list[Kind]:
        """The kinds of one group version, by their plural."""
        kinds = [kind for kind in self.all() if (kind.group, kind.version) == (group, version)]
        return sorted(kinds, key=lambda kind: kind.plural)

    def builtin(self, group: str) -> bool:
        """Whether the server knows ``group`` from the beginning."""
        return group in self._first

    def groups(self) -> dict[str, list[str]]:
        """Each group and its versions, both in order of preference; the core group is empty.

        Not to be changed.
        """
        generation, groups = self._groups
        if generation != self.generation:
            groups = self._sorted_groups()
            self._groups = (self.generation, groups)
        return groups

    def _sorted_groups(self) -> dict[str, list[str]]:
        found: dict[str, dict[str, None]] = {}
        for group, version, _ in self._kinds:
            found.setdefault(group, {})[version] = None
        groups = {group: list(found[group]) for group in self._first if group in found}
        for group in sorted(found.keys() - self._first.keys()):
            groups[group] = sorted(found[group], key=_preference)
        return groups


def _preference(version: str) -> tuple[int, int, int, str]:
    """A key that sorts as Kubernetes prefers: v2, v1, v1beta2, v1alpha1, then other words."""
    matched = _VERSION.fullmatch(version)
    if matched is None:
        return (1, 0, 0, version)
    major, stage, minor = matched.groups()
    return (-_STAGES[stage], -int(major), -int(minor or 0), "")


def builtin_catalog() -> Catalog:
    """A catalog of the table of built-in kinds."""
    return Catalog(_parse(TABLE))


def definition_of(group: str, version: str, kind: str) -> str:
    """The name of a built-in kind among the published schemas."""
    package = _PACKAGES.get(group) or f"io.k8s.api.{group.split('.', 1)[0]}"
    return f"{package}.{version}.{kind}"


def _parse(table: str) -> Iterator[Kind]:
    group = version = ""
    for line in table.splitlines():
        if line.startswith(" "):
            yield _kind(group, version, line.split())
        elif line:
            group, _, version = line.rpartition("/")


def _kind(group: str, version: str, words: Sequence[str]) -> Kind:
    plural, name, *rest = words
    options: dict[str, Any] = dict(word.partition("=")[::2] for word in rest)
    subresources: dict[str, Subresource] = {}
    kind = Kind(
        group=group,
        version=version,
        plural=plural,
        singular=name.lower(),
        kind=name,
        namespaced="cluster" not in options,
        verbs=_words(options.get("verbs")) or FULL,
        short_names=_words(options.get("sn")),
        categories=_words(options.get("cat")),
        subresources=subresources,
        definition=definition_of(group, version, name),
        stored_as=options.get("as", ""),
    )
    for subresource in _words(options.get("sub")):
        subresources[subresource] = _subresource(kind, subresource)
    return kind


def _subresource(kind: Kind, name: str) -> Subresource:
    if name == "proxy":
        return Subresource("", "v1", _PROXY_KINDS.get(kind.kind, "ServiceProxyOptions"), _PROXY)
    shared = _SHARED.get(name)
    if shared is not None:
        return shared
    return Subresource(kind.group, kind.version, kind.kind, _OWN_VERBS.get(name, _CHANGE))


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()
