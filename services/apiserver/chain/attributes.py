"""What a request wants to do, in the words that authorizers judge by."""

from dataclasses import dataclass

from pilothouse.services.apiserver.requests import Target, User
from pilothouse.services.machinery.errors import Forbidden, Subject


@dataclass(frozen=True, slots=True)
class Attributes:
    """A verb on a resource, or, where ``path`` is set, on a path that is no resource."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def qualified(self) -> str:
        """``pods`` or ``pods/log``, as rules name it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it may, and why or why not."""

    allowed: bool
    reason: str = ""


def attributes_of(verb: str, target: Target) -> Attributes:
    """The attributes of a verb on a target; a namespace counts as lying in itself."""
    itself = target.plural == "namespaces" and not target.group
    return Attributes(
        verb=verb,
        group=target.group,
        version=target.version,
        resource=target.plural,
        subresource=target.subresource,
        namespace=target.name if itself else target.namespace,
        name=target.name,
    )


def forbidden(user: User, attributes: Attributes, reason: str = "") -> Forbidden:
    """The refusal, in the sentence that clients know."""
    if attributes.path:
        return Forbidden(
            f'forbidden: User "{user.name}" cannot {attributes.verb} path "{attributes.path}"'
            + (f": {reason}" if reason else "")
        )
    resource = attributes.resource + (f".{attributes.group}" if attributes.group else "")
    named = f'{resource} "{attributes.name}"' if attributes.name else resource
    scope = (
        f'in the namespace "{attributes.namespace}"'
        if attributes.namespace
        else "at the cluster scope"
    )
    message = (
        f'{named} is forbidden: User "{user.name}" cannot {attributes.verb} resource '
        f'"{attributes.qualified}" in API group "{attributes.group}" {scope}'
    )
    return Forbidden(
        message + (f": {reason}" if reason else ""),
        subject=Subject(group=attributes.group, kind=attributes.resource, name=attributes.name),
    )
