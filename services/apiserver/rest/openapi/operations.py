"""Which operations a kind has, and what they are called. Pure.

Names are upstream's, which clients' generated code is built on: a verb, group and version, then
scope, kind and subresource (``readCoreV1NamespacedPodStatus``).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pilothouse.services.apiserver.kinds.catalog import definition_of
from pilothouse.services.apiserver.kinds.kind import Kind, Subresource
from pilothouse.services.apiserver.rest.negotiation import PATCH_TYPES
from pilothouse.services.apiserver.rest.openapi import parameters
from pilothouse.services.apiserver.rest.openapi.operation import (
    ANY,
    DELETE_OPTIONS,
    JSON,
    META,
    PATCH,
    PROTOBUF,
    STATUS,
    TEXT,
    YAML,
    Operation,
    group_words,
    tag,
    titled,
)

_STREAMS = (f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")
_PROXY_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_CUSTOM_PATCH_TYPES = tuple(each for each in PATCH_TYPES if "strategic" not in each)
_CUSTOM = (JSON, YAML)
_OK, _CREATED, _ACCEPTED = 200, 201, 202


def root(kind: Kind) -> str:
    """``/api/v1`` or ``/apis/apps/v1``."""
    return f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"


def operations(kind: Kind, *, builtin: bool) -> Iterator[Operation]:
    """Every operation of ``kind`` and of its subresources."""
    shape = _Shape(kind, builtin)
    yield from shape.collection()
    yield from shape.single()
    if builtin:
        yield from shape.watches()
    for name, subresource in sorted(kind.subresources.items()):
        yield from shape.subresource(name, subresource)


def list_definition(kind: Kind) -> str:
    """The definition of a list of ``kind``."""
    if kind.list_kind:
        return kind.definition.removesuffix(kind.kind) + kind.list_kind
    return f"{kind.definition}List"


@dataclass(frozen=True, slots=True)
class _Shape:
    """What all operations of a kind have in common."""

    kind: Kind
    builtin: bool

    @property
    def place(self) -> str:
        """The path of the collection."""
        start = root(self.kind)
        if self.kind.namespaced:
            start += "/namespaces/{namespace}"
        return f"{start}/{self.kind.plural}"

    def operation(self, path: str, method: str, verb: str, words: str, query: tuple[str, ...],
                  *answers: tuple[int, str]) -> Operation:  # fmt: skip
        """One with the kind's name, tag and media types; ``words`` end its name."""
        kind = self.kind
        return Operation(
            path=path,
            method=method,
            id=f"{verb}{group_words(kind.group, kind.version)}{words}",
            tag=tag(kind.group, kind.version),
            description=_description(verb, kind.kind),
            query=(*query, *parameters.PRETTY),
            answers=answers,
            produces=(JSON, YAML, PROTOBUF) if self.builtin else _CUSTOM,
            consumes=ANY if self.builtin else _CUSTOM,
            action=_ACTIONS.get(verb, verb),
            spoken=(kind.group, kind.version, kind.kind),
        )

    @property
    def scoped(self) -> str:
        """``NamespacedPod``, or ``Node``."""
        return f"Namespaced{self.kind.kind}" if self.kind.namespaced else self.kind.kind

    def collection(self) -> Iterator[Operation]:
        """list, create, deletecollection; and the list of all namespaces."""
        kind, place = self.kind, self.place
        if "list" in kind.verbs:
            yield self.lists(place, self.scoped)
            if kind.namespaced:
                yield self.lists(f"{root(kind)}/{kind.plural}", f"{kind.kind}ForAllNamespaces")
        if "create" in kind.verbs:
            created = tuple((code, kind.definition) for code in (_OK, _CREATED, _ACCEPTED))
            create = self.operation(
                place, "post", "create", self.scoped, parameters.WRITE, *created
            )
            yield replace(create, body=kind.definition)
        if "deletecollection" in kind.verbs:
            yield replace(
                self.operation(
                    place, "delete", "delete", f"Collection{self.scoped}",
                    parameters.DELETE_COLLECTION, (_OK, STATUS),
                ),
                action="deletecollection", body=DELETE_OPTIONS, body_required=False,
            )  # fmt: skip

    def lists(self, path: str, words: str) -> Operation:
        """A list, which may be a watch."""
        listed = self.operation(
            path, "get", "list", words, parameters.LIST, (_OK, list_definition(self.kind))
        )
        if not self.builtin:
            return listed
        return replace(listed, produces=(*listed.produces, *_STREAMS))

    def single(self) -> Iterator[Operation]:
        """get, update, patch, delete."""
        kind, path = self.kind, f"{self.place}/{{name}}"
        if "get" in kind.verbs:
            yield self.operation(path, "get", "read", self.scoped, (), (_OK, kind.definition))
        yield from self.changes(path, self.scoped, kind.verbs, kind.definition)
        if "delete" in kind.verbs:
            gone = kind.definition if kind.shown_when_deleted else STATUS
            yield replace(
                self.operation(
                    path, "delete", "delete", self.scoped, parameters.DELETE,
                    (_OK, gone), (_ACCEPTED, gone),
                ),
                body=DELETE_OPTIONS, body_required=False,
            )  # fmt: skip

    def changes(
        self, path: str, words: str, verbs: tuple[str, ...], definition: str
    ) -> Iterator[Operation]:
        """update and patch, of the object or of a subresource."""
        changed = ((_OK, definition), (_CREATED, definition))
        if "update" in verbs:
            replaced = self.operation(path, "put", "replace", words, parameters.WRITE, *changed)
            yield replace(replaced, body=definition)
        if "patch" in verbs:
            patched = self.operation(path, "patch", "patch", words, parameters.PATCH, *changed)
            types = tuple(PATCH_TYPES) if self.builtin else _CUSTOM_PATCH_TYPES
            yield replace(patched, body=PATCH, consumes=types)

    def watches(self) -> Iterator[Operation]:
        """The paths below ``/watch``, which are deprecated."""
        kind = self.kind
        if "watch" not in kind.verbs:
            return
        start, below = root(kind), self.place.removeprefix(root(kind))
        paths = [
            (f"{start}/watch{below}", f"{self.scoped}List", "watchlist"),
            (f"{start}/watch{below}/{{name}}", self.scoped, "watch"),
        ]
        if kind.namespaced:
            everywhere = f"{kind.kind}ListForAllNamespaces"
            paths.append((f"{start}/watch/{kind.plural}", everywhere, "watchlist"))
        for path, words, action in paths:
            watched = self.operation(
                path, "get", "watch", words, parameters.LIST, (_OK, f"{META}.WatchEvent")
            )
            yield replace(watched, action=action, produces=(*watched.produces, *_STREAMS))

    def subresource(self, name: str, spoken: Subresource) -> Iterator[Operation]:
        """What is asked of ``…/{name}/<subresource>``."""
        path, words = f"{self.place}/{{name}}/{name}", f"{self.scoped}{titled(name)}"
        said = (spoken.group, spoken.version, spoken.kind)
        if name in parameters.CONNECT:
            found = self.connects(path, words, name)
        elif name == "log":
            log = self.operation(path, "get", "read", words, parameters.LOG, (_OK, TEXT))
            found = iter([replace(log, produces=("text/plain", *log.produces))])
        else:
            found = self.plain(path, words, spoken)
        for operation in found:
            yield replace(operation, spoken=said)

    def plain(self, path: str, words: str, spoken: Subresource) -> Iterator[Operation]:
        """A subresource that is an object, or takes one."""
        own = (spoken.group, spoken.version, spoken.kind) == (
            self.kind.group, self.kind.version, self.kind.kind,
        )  # fmt: skip
        definition = (
            self.kind.definition
            if own
            else definition_of(spoken.group, spoken.version, spoken.kind)
        )
        if "get" in spoken.verbs:
            yield self.operation(path, "get", "read", words, (), (_OK, definition))
        if "create" in spoken.verbs:
            created = tuple((code, definition) for code in (_OK, _CREATED, _ACCEPTED))
            create = self.operation(path, "post", "create", words, parameters.WRITE, *created)
            yield replace(create, body=definition)
        yield from self.changes(path, words, spoken.verbs, definition)

    def connects(self, path: str, words: str, name: str) -> Iterator[Operation]:
        """What is relayed to a node or a pod."""
        methods = _PROXY_METHODS if name == "proxy" else ("get", "post")
        tails = [("", "")] if name != "proxy" else [("", ""), ("/{path}", "WithPath")]
        for tail, suffix in tails:
            for method in methods:
                connect = self.operation(
                    path + tail, method, "connect", "", parameters.CONNECT[name], (_OK, TEXT)
                )
                yield replace(
                    connect,
                    id=f"{connect.id}{method.capitalize()}{words}{suffix}",
                    produces=ANY, consumes=ANY, query=connect.query[:-1],
                )  # fmt: skip


_ACTIONS = {"read": "get", "create": "post", "replace": "put"}
_DESCRIPTIONS = {
    "read": "Read one {0}.",
    "list": "List or watch objects of kind {0}.",
    "create": "Create a {0}, or act on one.",
    "replace": "Replace one {0}.",
    "patch": "Change parts of one {0}.",
    "delete": "Delete what is named or selected of kind {0}.",
    "watch": "Watch {0}. Deprecated: list with the parameter watch.",
    "connect": "Talk to what stands behind one {0}.",
}


def _description(verb: str, kind: str) -> str:
    return _DESCRIPTIONS[verb].format(kind)
