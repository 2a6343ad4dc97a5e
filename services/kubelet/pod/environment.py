"""A container's environment and command line: sources, order, and ``$(NAME)``."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pilothouse.services.kubelet.pod.downward import Surroundings, field_text, resource_text
from pilothouse.services.kubelet.pod.views import Container, EnvFrom, EnvSource, KeySelector, Pod
from pilothouse.services.machinery.errors import BadRequest, NotFound
from pilothouse.services.machinery.kinds.services import Service, is_headless
from pilothouse.services.machinery.objects import Key

_REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")
_NAME = re.compile(r"[ -<>-~]+")


@dataclass(frozen=True, slots=True)
class Sources:
    """The ConfigMaps and Secrets a container refers to, by name; absent ones are not in it."""

    config_maps: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Names of what must be fetched before :func:`build`."""

    config_maps: frozenset[str]
    secrets: frozenset[str]


def wanted(container: Container) -> Wanted:
    """The objects that this container's environment comes from."""
    config_maps = {item.config_map_ref.name for item in container.env_from if item.config_map_ref}
    secrets = {item.secret_ref.name for item in container.env_from if item.secret_ref}
    for item in container.env:
        if item.value_from is not None and item.value_from.config_map_key_ref is not None:
            config_maps.add(item.value_from.config_map_key_ref.name)
        if item.value_from is not None and item.value_from.secret_key_ref is not None:
            secrets.add(item.value_from.secret_key_ref.name)
    return Wanted(frozenset(config_maps), frozenset(secrets))


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` where the name is known; ``$$`` is a dollar sign."""

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return values.get(match[1], match[0])

    return _REFERENCE.sub(replace, text)


def expand_known(text: str, values: Mapping[str, str]) -> str:
    """As :func:`expand`; BadRequest where a name is not known."""

    for match in _REFERENCE.finditer(text):
        if match[0] != "$$" and match[1] not in values:
            raise BadRequest(f'missing value for "{match[1]}"')
    return expand(text, values)


def build(
    pod: Pod,
    container: Container,
    sources: Sources,
    services: Iterable[Service],
    around: Surroundings,
) -> dict[str, str]:
    """The environment; NotFound names a ConfigMap, Secret or key that must be there and is not."""
    values = service_variables(services, pod)
    for item in container.env_from:
        values.update(_all_of(item, sources))
    for variable in container.env:
        if variable.value_from is None:
            values[variable.name] = expand(variable.value, values)
            continue
        text = _one_of(pod, container, variable.value_from, sources, around)
        if text is not None:
            values[variable.name] = text
    return values


def _all_of(item: EnvFrom, sources: Sources) -> dict[str, str]:
    for reference, known, kind in (
        (item.config_map_ref, sources.config_maps, "configmap"),
        (item.secret_ref, sources.secrets, "secret"),
    ):
        if reference is None:
            continue
        found = known.get(reference.name)
        if found is None:
            if reference.optional:
                return {}
            raise NotFound(f'{kind} "{reference.name}" not found')
        return {
            f"{item.prefix}{key}": value.decode(errors="replace")
            for key, value in sorted(found.items())
            if _NAME.fullmatch(f"{item.prefix}{key}")
        }
    return {}


def _one_of(
    pod: Pod, container: Container, source: EnvSource, sources: Sources, around: Surroundings
) -> str | None:
    if source.field_ref is not None:
        return field_text(pod, source.field_ref.field_path, around)
    if source.resource_field_ref is not None:
        return resource_text(pod, source.resource_field_ref, container.name, around)
    if source.config_map_key_ref is not None:
        return _key(source.config_map_key_ref, sources.config_maps, "configmap")
    if source.secret_key_ref is not None:
        return _key(source.secret_key_ref, sources.secrets, "secret")
    return None


def _key(selector: KeySelector, known: Mapping[str, Mapping[str, bytes]], kind: str) -> str | None:
    found = known.get(selector.name)
    if found is not None and selector.key in found:
        return found[selector.key].decode(errors="replace")
    if selector.optional:
        return None
    if found is None:
        raise NotFound(f'{kind} "{selector.name}" not found')
    raise NotFound(f"couldn't find key {selector.key} in {kind} {selector.name}")


def service_variables(services: Iterable[Service], pod: Pod) -> dict[str, str]:
    """Where services are: the API server's for every pod, its own namespace's where wished."""
    values: dict[str, str] = {}
    for service in sorted(services, key=lambda item: item.metadata.name):
        is_master = service.metadata.key == _MASTER
        linked = (
            pod.spec.enable_service_links and service.metadata.namespace == pod.metadata.namespace
        )
        if (is_master or linked) and not is_headless(service) and service.spec.cluster_ip:
            values.update(_links(service))
    return values


_MASTER = Key("default", "kubernetes")


def _links(service: Service) -> dict[str, str]:
    prefix = service.metadata.name.upper().replace("-", "_")
    address = service.spec.cluster_ip
    values = {f"{prefix}_SERVICE_HOST": address}
    for index, port in enumerate(service.spec.ports):
        protocol = port.protocol.lower()
        url = f"{protocol}://{address}:{port.port}"
        if index == 0:
            values[f"{prefix}_SERVICE_PORT"] = str(port.port)
            values[f"{prefix}_PORT"] = url
        if port.name:
            name = port.name.upper().replace("-", "_")
            values[f"{prefix}_SERVICE_PORT_{name}"] = str(port.port)
        stem = f"{prefix}_PORT_{port.port}_{port.protocol}"
        values[stem] = url
        values[f"{stem}_PROTO"] = protocol
        values[f"{stem}_PORT"] = str(port.port)
        values[f"{stem}_ADDR"] = address
    return values
