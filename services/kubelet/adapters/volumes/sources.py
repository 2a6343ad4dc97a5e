"""What volumes made of API objects show, and who is told when that changes."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pilothouse.services.kubelet.adapters.volumes.pod_certificates import PodCertificates
from pilothouse.services.kubelet.adapters.volumes.references import (
    Reference,
    Referenced,
    References,
)
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.ports import Cluster
from pilothouse.services.kubelet.volumes import bundles, renewal
from pilothouse.services.kubelet.volumes.payload import Credential, Found
from pilothouse.services.kubelet.volumes.sources import (
    Projection,
    TokenSource,
    TrustBundleSource,
    Volume,
)
from pilothouse.services.machinery import labels
from pilothouse.services.machinery.errors import ApiError, BadRequest, NotFound
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    CLUSTER_TRUST_BUNDLES,
    CONFIG_MAPS,
    SECRETS,
    Resource,
)
from pilothouse.services.runtime.client.objects import Selection
from pilothouse.services.runtime.clock import Clock

Changed = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    due_at: float
    ends_at: float


class MeshSources:
    """Over watches, one an object; tokens and certificates are kept until they are due."""

    def __init__(
        self,
        references: References,
        cluster: Cluster,
        certificates: PodCertificates,
        clock: Clock,
        poll_seconds: float | None = None,
    ) -> None:
        """``poll_seconds``: ask this often for ConfigMaps and Secrets instead of watching them."""
        self._references = references
        self._cluster = cluster
        self._certificates = certificates
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._tokens: dict[tuple[str, TokenSource], _Token] = {}

    async def fetch(
        self, pod: Pod, volume: Volume, parts: tuple[Projection, ...], changed: Changed
    ) -> tuple[Found, float | None]:
        """All that there is for one volume, and when to ask again, if ever."""
        config_maps: dict[str, Mapping[str, bytes]] = {}
        secrets: dict[str, Mapping[str, bytes]] = {}
        tokens: dict[TokenSource, str] = {}
        trusted: dict[int, bytes] = {}
        credentials: dict[int, Credential] = {}
        dues: list[float] = []
        if self._poll_seconds is not None and any(part.config_map or part.secret for part in parts):
            dues.append(self._clock.now() + self._poll_seconds)
        for place, part in enumerate(parts):
            if part.config_map is not None:
                name = part.config_map.name
                for found in await self._named(pod, CONFIG_MAPS, name, changed):
                    config_maps[name] = _contents(found, is_secret=False)
            elif part.secret is not None:
                name = part.secret.secret_name or part.secret.name
                for found in await self._named(pod, SECRETS, name, changed):
                    secrets[name] = _contents(found, is_secret=True)
            elif part.service_account_token is not None:
                source = part.service_account_token
                tokens[source], due = await self._token(pod, source)
                dues.append(due)
            elif part.cluster_trust_bundle is not None:
                trusted[place] = await self._bundle(pod, part.cluster_trust_bundle, changed)
            elif part.pod_certificate is not None:
                credentials[place], due = await self._certificates.credential(
                    pod, f"{volume.name}/{place}", part.pod_certificate, changed
                )
                dues.append(due)
        found_all = Found(config_maps, secrets, tokens, trusted, credentials)
        return found_all, min(dues, default=None)

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        self._references.keep(uid, frozenset())
        self._certificates.forget(uid)
        for key in [key for key in self._tokens if key[0] == uid]:
            del self._tokens[key]

    async def _named(
        self, pod: Pod, resource: Resource, name: str, changed: Changed
    ) -> list[Referenced]:
        """The object of this name in the pod's namespace; empty when there is none."""
        namespace = pod.metadata.namespace
        if self._poll_seconds is not None:
            return await self._references.fetch(resource, Key(namespace, name))
        selection = Selection(namespace, fields=f"metadata.name={name}")
        return await self._references.read(Reference(resource, selection), pod.uid, changed)

    async def _token(self, pod: Pod, source: TokenSource) -> tuple[str, float]:
        """A token and when it should be renewed; one that holds yet, where that fails."""
        now = self._clock.now()
        kept = self._tokens.get((pod.uid, source))
        if kept is not None and now < kept.due_at:
            return kept.text, kept.due_at
        try:
            text, ends_at = await self._cluster.token(pod, source)
        except ApiError:
            if kept is None or now >= kept.ends_at:
                raise
            return kept.text, now + renewal.RETRY_SECONDS
        due_at = renewal.token_due(now, ends_at)
        self._tokens[pod.uid, source] = _Token(text, due_at, ends_at)
        return text, due_at

    async def _bundle(self, pod: Pod, source: TrustBundleSource, changed: Changed) -> bytes:
        """The anchors; none where the source is optional, NotFound where it is not."""
        if source.name is None and source.signer_name is None:
            raise BadRequest("clusterTrustBundle needs a name or a signerName")
        if source.name is not None:
            selection = Selection(fields=f"metadata.name={source.name}")
            missing = f'clustertrustbundle "{source.name}" not found'
        else:
            selection = Selection(fields=f"spec.signerName={source.signer_name}")
            missing = (
                f"no ClusterTrustBundle of signer {source.signer_name} matches the label selector"
            )
        reference = Reference(CLUSTER_TRUST_BUNDLES, selection)
        found = await self._references.read(reference, pod.uid, changed)
        if source.name is None:
            # No selector at all selects nothing, an empty one everything.
            selector = labels.compile_selector(source.label_selector)
            found = [
                item
                for item in found
                if selector is not None and selector.matches(item.metadata.labels)
            ]
        if not found and not source.optional:
            raise NotFound(missing)
        return bundles.combine(item.spec.trust_bundle for item in found if item.spec is not None)


def _contents(found: Referenced, *, is_secret: bool) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for key, value in (found.data or {}).items():
        files[key] = base64.b64decode(value) if is_secret else value.encode()
    for key, value in (found.binary_data or {}).items():
        files[key] = base64.b64decode(value)
    return files
