"""What is known now, and kept with each change."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from pilothouse.cri_shim.records import (
    READY,
    RUNNING,
    ContainerIo,
    ContainerRecord,
    SandboxRecord,
)
from pilothouse.services.machinery.errors import Conflict, Invalid, NotFound

Record = TypeVar("Record", SandboxRecord, ContainerRecord)


class Kept(Protocol):
    """Where records outlive this process."""

    def load(self) -> tuple[list[SandboxRecord], list[ContainerRecord]]: ...
    def keep(self, record: SandboxRecord | ContainerRecord) -> None: ...
    def drop(self, id_: str) -> None: ...


class Store:
    """Records by id. A sandbox or container that is being made is not seen by others."""

    def __init__(self, kept: Kept, io_directory: str) -> None:
        self._kept = kept
        self._io = io_directory
        sandboxes, containers = kept.load()
        self._sandboxes = {item.id: item for item in sandboxes}
        self._containers = {item.id: item for item in containers}
        self._making: set[str] = set()
        self._ends: dict[str, asyncio.Event] = {}
        self._names = {sandbox_name(item): item.id for item in sandboxes}
        self._names |= {container_name(item): item.id for item in containers}

    def sandbox(self, id_: str) -> SandboxRecord:
        """By its id or an unambiguous beginning of it; NotFound."""
        return _find(self._sandboxes, id_, "pod sandbox")

    def container(self, id_: str) -> ContainerRecord:
        """By its id or an unambiguous beginning of it; NotFound."""
        return _find(self._containers, id_, "container")

    def sandboxes(self) -> Sequence[SandboxRecord]:
        return [item for item in self._sandboxes.values() if item.id not in self._making]

    def containers(self) -> Sequence[ContainerRecord]:
        return list(self._containers.values())

    def of_sandbox(self, sandbox_id: str) -> Sequence[ContainerRecord]:
        """The containers of one sandbox."""
        return [item for item in self._containers.values() if item.sandbox_id == sandbox_id]

    def io(self, id_: str) -> ContainerIo:
        """The streams of a container's main process; NotFound."""
        return streams(self._io, self.container(id_))

    def begin(self, record: SandboxRecord) -> None:
        """A sandbox is being made; Conflict when there is one of its name."""
        self.reserve(sandbox_name(record), record.id)
        self._making.add(record.id)
        self.put(record)

    def reserve(self, name: str, id_: str) -> None:
        """Nobody else may be called so; Conflict when somebody is."""
        if name in self._names:
            raise Conflict(f"name {name!r} is reserved for {self._names[name]!r}")
        self._names[name] = id_

    def put(self, record: SandboxRecord | ContainerRecord) -> None:
        """Know and keep it."""
        if isinstance(record, SandboxRecord):
            self._sandboxes[record.id] = record
            ended = record.state != READY
        else:
            self._containers[record.id] = record
            ended = record.state != RUNNING
        self._kept.keep(record)
        if ended and record.id in self._ends:
            self._ends.pop(record.id).set()

    def made(self, record: SandboxRecord) -> None:
        """It is there for all to see."""
        self._making.discard(record.id)
        self.put(record)

    def drop(self, id_: str) -> None:
        """Forget it, and free its name."""
        self._making.discard(id_)
        self._sandboxes.pop(id_, None)
        self._containers.pop(id_, None)
        self._names = {name: owner for name, owner in self._names.items() if owner != id_}
        self._kept.drop(id_)
        if id_ in self._ends:
            self._ends.pop(id_).set()

    async def wait_end(self, id_: str) -> None:
        """Until the main process of a container or sandbox is known to have ended."""
        container, sandbox = self._containers.get(id_), self._sandboxes.get(id_)
        runs = (container is not None and container.state == RUNNING) or (
            sandbox is not None and sandbox.state == READY
        )
        if runs:
            await self._ends.setdefault(id_, asyncio.Event()).wait()


def streams(directory: str, record: ContainerRecord) -> ContainerIo:
    """The FIFOs of a container's main process."""
    config = record.config
    place = f"{directory}/{record.id}"
    return ContainerIo(
        container_id=record.id,
        stdin=f"{place}/stdin" if config.stdin else "",
        stdout=f"{place}/stdout",
        stderr="" if config.tty else f"{place}/stderr",
        log_path=record.log_path,
        tty=config.tty,
        stdin_once=config.stdin_once,
    )


def sandbox_name(record: SandboxRecord) -> str:
    """No two sandboxes have the same."""
    pod = record.config.metadata
    return f"{pod.name}_{pod.namespace}_{pod.uid}_{pod.attempt}"


def container_name(record: ContainerRecord) -> str:
    """No two containers have the same."""
    return f"{record.config.metadata.name}_{record.sandbox_id}_{record.config.metadata.attempt}"


def _find(records: Mapping[str, Record], id_: str, what: str) -> Record:
    found = records.get(id_)
    if found is not None:
        return found
    if not id_:
        raise Invalid(f"no id of a {what} is given")
    alike = [key for key in records if key.startswith(id_)]
    if len(alike) == 1:
        return records[alike[0]]
    raise NotFound(f"an error occurred when try to find {what} {id_!r}: not found")
