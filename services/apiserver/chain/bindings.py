"""Which pods are bound where, and what they name: the facts behind the node authorizer."""

from collections.abc import Collection, Iterable

import msgspec

from pilothouse.services.apiserver.chain.ports import Live
from pilothouse.services.machinery.objects import Key, View


class _Named(View, frozen=True, kw_only=True):
    name: str = ""


class _Claim(View, frozen=True, kw_only=True):
    claim_name: str = ""


class _SecretVolume(View, frozen=True, kw_only=True):
    secret_name: str = ""


class _Source(View, frozen=True, kw_only=True):
    secret: _Named | None = None
    config_map: _Named | None = None


class _Projected(View, frozen=True, kw_only=True):
    sources: tuple[_Source, ...] = ()


class _Volume(View, frozen=True, kw_only=True):
    name: str = ""
    secret: _SecretVolume | None = None
    config_map: _Named | None = None
    persistent_volume_claim: _Claim | None = None
    ephemeral: View | None = None
    projected: _Projected | None = None


class _ValueFrom(View, frozen=True, kw_only=True):
    secret_key_ref: _Named | None = None
    config_map_key_ref: _Named | None = None


class _Variable(View, frozen=True, kw_only=True):
    value_from: _ValueFrom | None = None


class _Variables(View, frozen=True, kw_only=True):
    secret_ref: _Named | None = None
    config_map_ref: _Named | None = None


class _Container(View, frozen=True, kw_only=True):
    env: tuple[_Variable, ...] = ()
    env_from: tuple[_Variables, ...] = ()


class _Spec(View, frozen=True, kw_only=True):
    node_name: str = ""
    service_account_name: str = ""
    image_pull_secrets: tuple[_Named, ...] = ()
    volumes: tuple[_Volume, ...] = ()
    containers: tuple[_Container, ...] = ()
    init_containers: tuple[_Container, ...] = ()
    ephemeral_containers: tuple[_Container, ...] = ()


class _Pod(View, frozen=True, kw_only=True):
    spec: _Spec = _Spec()


class _VolumeName(View, frozen=True, kw_only=True):
    volume_name: str = ""


class _BoundClaim(View, frozen=True, kw_only=True):
    spec: _VolumeName = _VolumeName()


class LiveBindings:
    """Answers from the live objects; pods are sorted by node once per change of any pod."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._mark = -1
        self._by_node: dict[str, list[tuple[Key, _Spec]]] = {}

    def node_of(self, pod: Key) -> str | None:
        """The node that a pod is bound to; None where there is no such pod."""
        stored = self._live.find("", "pods", pod)
        return (
            None if stored is None else msgspec.json.decode(stored.json, type=_Pod).spec.node_name
        )

    def referenced(self, node: str, resource: str) -> Collection[Key]:
        """The objects of ``resource`` that the pods of ``node`` name."""
        if resource == "persistentvolumeclaims":
            return {
                Key(pod.namespace, name)
                for pod, spec in self._pods(node)
                for name in _claims(pod.name, spec)
            }
        names = {"secrets": _secrets, "configmaps": _config_maps}[resource]
        return {Key(pod.namespace, name) for pod, spec in self._pods(node) for name in names(spec)}

    def volumes_of(self, node: str) -> Collection[str]:
        """Names of the persistent volumes behind the claims of the node's pods."""
        found = (
            self._live.find("", "persistentvolumeclaims", key)
            for key in self.referenced(node, "persistentvolumeclaims")
        )
        return {
            msgspec.json.decode(stored.json, type=_BoundClaim).spec.volume_name
            for stored in found
            if stored is not None
        }

    def accounts_of(self, node: str) -> Collection[Key]:
        """The service accounts of the node's pods."""
        return {
            Key(pod.namespace, spec.service_account_name or "default")
            for pod, spec in self._pods(node)
        }

    def asked_by(self, request: Key) -> str | None:
        """The node that asked for a pod's certificate; None where there is no such request."""
        stored = self._live.find("certificates.k8s.io", "podcertificaterequests", request)
        return (
            None if stored is None else msgspec.json.decode(stored.json, type=_Pod).spec.node_name
        )

    def _pods(self, node: str) -> Iterable[tuple[Key, _Spec]]:
        mark = self._live.mark("", "pods")
        if mark != self._mark:
            self._mark = mark
            self._by_node = {}
            for stored in self._live.objects("", "pods"):
                spec = msgspec.json.decode(stored.json, type=_Pod).spec
                if spec.node_name:
                    listed = self._by_node.setdefault(spec.node_name, [])
                    listed.append((stored.key, spec))
        return self._by_node.get(node, ())


def _containers(spec: _Spec) -> Iterable[_Container]:
    return (*spec.init_containers, *spec.containers, *spec.ephemeral_containers)


def _secrets(spec: _Spec) -> Iterable[str]:
    yield from (item.name for item in spec.image_pull_secrets)
    for volume in spec.volumes:
        if volume.secret:
            yield volume.secret.secret_name
        for source in volume.projected.sources if volume.projected else ():
            if source.secret:
                yield source.secret.name
    for container in _containers(spec):
        for variables in container.env_from:
            if variables.secret_ref:
                yield variables.secret_ref.name
        for variable in container.env:
            if variable.value_from and variable.value_from.secret_key_ref:
                yield variable.value_from.secret_key_ref.name


def _config_maps(spec: _Spec) -> Iterable[str]:
    for volume in spec.volumes:
        if volume.config_map:
            yield volume.config_map.name
        for source in volume.projected.sources if volume.projected else ():
            if source.config_map:
                yield source.config_map.name
    for container in _containers(spec):
        for variables in container.env_from:
            if variables.config_map_ref:
                yield variables.config_map_ref.name
        for variable in container.env:
            if variable.value_from and variable.value_from.config_map_key_ref:
                yield variable.value_from.config_map_key_ref.name


def _claims(pod: str, spec: _Spec) -> Iterable[str]:
    for volume in spec.volumes:
        if volume.persistent_volume_claim:
            yield volume.persistent_volume_claim.claim_name
        elif volume.ephemeral:
            yield f"{pod}-{volume.name}"
