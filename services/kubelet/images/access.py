"""Who may use an image that is on the node: whose credentials have pulled it.

An image that the kubelet pulled with a Secret is for pods that have this Secret, or its content;
others have to pull again, as themselves. What was there before the kubelet came is for everybody,
unless the configuration says otherwise.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

NEVER = "NeverVerify"
NEVER_PRELOADED = "NeverVerifyPreloadedImages"
NEVER_ALLOWLISTED = "NeverVerifyAllowlistedImages"
ALWAYS = "AlwaysVerify"
SECRETS_MAX = 100


class Secret(msgspec.Struct, frozen=True, rename="camel"):
    """A pull secret, and the digest of the credentials in it that were used."""

    uid: str
    namespace: str
    name: str
    credential_hash: str = ""

    def is_same(self, other: "Secret") -> bool:
        """The same object, or the same content."""
        if self.credential_hash and self.credential_hash == other.credential_hash:
            return True
        ours = self.uid, self.namespace, self.name
        return ours == (other.uid, other.namespace, other.name)


class Access(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Who has pulled: anybody, or who had one of the Secrets."""

    node_pods_accessible: bool = False
    kubernetes_secrets: tuple[Secret, ...] = ()


class Record(msgspec.Struct, frozen=True, rename="camel"):
    """One image, by the runtime's id, as each of its repositories gave it."""

    image_ref: str
    last_updated_time: str
    credential_mapping: dict[str, Access]
    kind: str = "ImagePulledRecord"
    api_version: str = "kubelet.config.k8s.io/v1beta1"


class Records(Protocol):
    """What outlives the kubelet. Calls raise OSError."""

    def find(self, image_ref: str) -> Record | None: ...
    def keep(self, record: Record) -> None: ...
    def intend(self, image: str) -> None:
        """A pull begins: an image that comes of it is ours, even if nobody lives to say so."""

    def settle(self, image: str) -> None:
        """It has ended."""

    def is_intended(self, image: str) -> bool: ...


class Policy(msgspec.Struct, frozen=True):
    """Of KubeletConfiguration; patterns of the list end in ``*``, or name one repository."""

    name: str = NEVER_PRELOADED
    allowlist: tuple[str, ...] = ()

    def verifies(self, repository: str, *, is_ours: bool) -> bool:
        """Whether who uses it must be among who pulled it; ``is_ours``: the kubelet pulled it."""
        if self.name == NEVER:
            return False
        if self.name == ALWAYS or is_ours:
            return True
        return self.name == NEVER_ALLOWLISTED and not any(
            repository.startswith(entry[:-1]) if entry.endswith("*") else repository == entry
            for entry in self.allowlist
        )


def may_use(record: Record | None, repository: str, mine: Sequence[Secret]) -> bool:
    """Whether one with the Secrets ``mine`` has pulled it already, or is as good as who did."""
    access = record.credential_mapping.get(repository) if record is not None else None
    if access is None:
        return False
    return access.node_pods_accessible or any(
        one.is_same(known) for one in mine for known in access.kubernetes_secrets
    )


def granted(
    record: Record | None, image_ref: str, repository: str, who: Secret | None, now: str
) -> Record:
    """The record after a pull by ``who``; None is anybody."""
    mapping = dict(record.credential_mapping) if record is not None else {}
    before = mapping.get(repository, Access())
    if who is None or before.node_pods_accessible:
        mapping[repository] = Access(node_pods_accessible=True)
    else:
        others = [one for one in before.kubernetes_secrets if not one.is_same(who)]
        mapping[repository] = Access(kubernetes_secrets=(*others[-(SECRETS_MAX - 1) :], who))
    return Record(image_ref, now, mapping)
