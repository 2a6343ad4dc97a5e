"""From CRI's messages to our values and back, by the names of their fields."""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from pilothouse.cri_shim.oci import signals
from pilothouse.cri_shim.records import (
    CREATED,
    ContainerRecord,
    SandboxRecord,
)
from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.services.machinery.errors import BadRequest

T = TypeVar("T")


def decode(message: Message, type_: type[T]) -> T:
    """A message as the value of the same shape; what the value does not have is passed over."""
    try:
        return msgspec.convert(_plain(message), type_, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)) from None


def _plain(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                found[field.name] = dict(value)
            elif isinstance(value, Message):
                found[field.name] = _plain(value)
            else:
                found[field.name] = [_plain(item) for item in value]
        elif isinstance(value, str | int | bytes):
            found[field.name] = value
        else:
            found[field.name] = list(value)
    return found


def _given(value: object) -> Any:
    return msgspec.to_builtins(value, builtin_types=(bytes,))


def _number(value: int) -> Any:
    """Of an enumeration, which the stubs take for a type of its own."""
    return value


def sandbox(record: SandboxRecord) -> cri.PodSandbox:
    """An item of a list."""
    config = record.config
    return cri.PodSandbox(
        id=record.id,
        metadata=_given(config.metadata),
        state=_number(record.state),
        created_at=record.created_at,
        labels=config.labels,
        annotations=config.annotations,
        runtime_handler=record.runtime_handler,
    )


def sandbox_status(record: SandboxRecord) -> cri.PodSandboxStatus:
    """All that is told of one."""
    config = record.config
    options = _given(config.linux.security_context.namespace_options)
    network = cri.PodSandboxNetworkStatus()
    if record.ips:
        network.ip = record.ips[0]
        network.additional_ips.extend(cri.PodIP(ip=ip) for ip in record.ips[1:])
    return cri.PodSandboxStatus(
        id=record.id,
        metadata=_given(config.metadata),
        state=_number(record.state),
        created_at=record.created_at,
        network=network,
        linux=cri.LinuxPodSandboxStatus(namespaces=cri.Namespace(options=options)),
        labels=config.labels,
        annotations=config.annotations,
        runtime_handler=record.runtime_handler,
    )


def container(record: ContainerRecord) -> cri.Container:
    """An item of a list."""
    config = record.config
    return cri.Container(
        id=record.id,
        pod_sandbox_id=record.sandbox_id,
        metadata=_given(config.metadata),
        image=_given(config.image),
        image_ref=record.image_id,
        image_id=record.image_id,
        state=_number(record.state),
        created_at=record.created_at,
        labels=config.labels,
        annotations=config.annotations,
    )


def container_status(record: ContainerRecord) -> cri.ContainerStatus:
    """All that is told of one."""
    config = record.config
    user = record.process.get("user", {})
    limits = _given(config.linux.resources)
    return cri.ContainerStatus(
        id=record.id,
        metadata=_given(config.metadata),
        state=_number(record.state),
        created_at=record.created_at,
        started_at=0 if record.state == CREATED else record.started_at,
        finished_at=record.finished_at,
        exit_code=record.exit_code,
        image=_given(config.image) | {"image": record.image_name or config.image.image},
        image_ref=record.image_ref or record.image_id,
        reason=record.reason,
        message=record.message,
        labels=config.labels,
        annotations=config.annotations,
        mounts=_mounts(config.mounts),
        log_path=record.log_path,
        resources=cri.ContainerResources(linux=limits),
        image_id=record.image_id,
        user=cri.ContainerUser(
            linux=cri.LinuxContainerUser(
                uid=user.get("uid", 0),
                gid=user.get("gid", 0),
                supplemental_groups=user.get("additionalGids", ()),
            )
        ),
        stop_signal=_number(signals.cri(record.stop_signal or "SIGTERM")),
    )


def _mounts(mounts: Iterable[Any]) -> list[cri.Mount]:
    return [cri.Mount(**_given(mount)) for mount in mounts]
