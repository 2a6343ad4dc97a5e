"""What a method and a path ask for. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from pilothouse.services.apiserver.requests import Target
from pilothouse.services.machinery.errors import BadRequest, NotFound

COLLECTION_VERBS = {"GET": "list", "HEAD": "list", "POST": "create", "DELETE": "deletecollection"}
OBJECT_VERBS = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
# What of a namespace is the namespace's own, and not a kind that lives in it.
_NAMESPACE_SUBRESOURCES = ("finalize", "status")
TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on a resource: its verb, its target, and what follows the subresource."""

    verb: str
    target: Target
    tail: str = ""


# What follows ``/proxy`` belongs to who is proxied to, and is never looked into.
_PROXIED = re.compile(r"(/api/v1/(?:namespaces/[^/]+/(?:pods|services)|nodes)/[^/]+/proxy)(/.*)?")


def own_part(path: str) -> str:
    """The part of a path that is ours to read: all of it but what follows ``…/proxy``."""
    match = _PROXIED.fullmatch(path)
    return path if match is None else match[1]


def proxied_tail(path: str) -> str:
    """What follows ``…/proxy``, still encoded: empty, or from its slash on."""
    match = _PROXIED.fullmatch(path)
    return "" if match is None else match[2] or ""


def segments_of(path: str) -> list[str]:
    """The decoded segments; NotFound on empty ones and BadRequest on ``.``, ``..`` or a slash."""
    parts = path.strip("/").split("/")
    if "%" in path:
        parts = [unquote(part, errors="strict") for part in parts]
        if any("/" in part or "\0" in part for part in parts):
            raise BadRequest("a segment of the path holds a character that no name may hold")
    if "." in parts or ".." in parts:
        raise BadRequest('"." and ".." are not allowed in the path')
    if "" in parts and parts != [""]:
        raise NotFound("the server could not find the requested resource")
    return parts


def ask(method: str, segments: Sequence[str], query: Mapping[str, str]) -> Asked | None:
    """What ``/api/v1/…`` or ``/apis/<group>/<version>/…`` asks; None for any other path.

    A method that is no verb on this path gives an empty verb.
    """
    if segments[0] == "api":
        group, rest = "", segments[1:]
    elif segments[0] == "apis" and len(segments) > 1:
        group, rest = segments[1], segments[2:]
    else:
        return None
    if len(rest) < 2:  # noqa: PLR2004 - a version and a resource
        return None
    version, *parts = rest
    watching = parts[0] == "watch" and len(parts) > 1
    target, tail = _target(group, version, parts[1:] if watching else parts)
    verbs = OBJECT_VERBS if target.name else COLLECTION_VERBS
    verb = verbs.get(method, "")
    wanted = watching or (verb == "list" and query.get("watch", "") in TRUE)
    if wanted and method in ("GET", "HEAD"):
        target, verb = _watched(target), "watch"
    return Asked(verb, target, tail)


def _target(group: str, version: str, parts: Sequence[str]) -> tuple[Target, str]:
    namespace = ""
    inside = parts[2:3] if parts[0] == "namespaces" else ()
    if inside and inside[0] not in _NAMESPACE_SUBRESOURCES:
        namespace, parts = parts[1], parts[2:]
    plural, name, subresource, *tail = (*parts, "", "", "")[: max(len(parts), 3)]
    target = Target(group, version, plural, namespace, name, subresource)
    return target, "/".join(tail)


def _watched(target: Target) -> Target:
    """The old ``/watch/`` paths may name one object; the name then selects."""
    return replace(target, subresource="")
