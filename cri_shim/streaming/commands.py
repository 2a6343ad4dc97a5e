"""Run commands in containers: with a client's streams, or collecting what they print."""

import asyncio
import contextlib
import shutil
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilothouse.cri_shim.logs import fifos
from pilothouse.cri_shim.logs.fifos import Sink, Source
from pilothouse.cri_shim.ports import Processes, Records
from pilothouse.cri_shim.records import RUNNING, ContainerIo, ContainerRecord
from pilothouse.cri_shim.streaming.sessions import Session
from pilothouse.services.machinery.errors import (
    ApiError,
    BadRequest,
    InternalError,
    NotFound,
    Timeout,
)
from pilothouse.services.runtime.clock import Clock

OUTPUT_BYTES_MAX = 16 * 1024 * 1024
"""Of what is collected; the rest is read and dropped."""
SILENCE_SECONDS_MAX = 2.0
"""After the end: how long to wait for output that a child of the command holds open."""
STATES = ("CONTAINER_CREATED", "CONTAINER_RUNNING", "CONTAINER_EXITED", "CONTAINER_UNKNOWN")
TERM = "TERM=xterm"

Write = Callable[[str, bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a collected command came to."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Commands:
    """FIFOs of commands lie below ``directory``, each gone with its command."""

    def __init__(
        self, processes: Processes, records: Records, directory: Path, clock: Clock
    ) -> None:
        self._processes = processes
        self._records = records
        self._directory = directory
        self._clock = clock

    def running(self, container_id: str) -> ContainerRecord:
        """NotFound, or BadRequest when it does not run."""
        record = self._records.container(container_id)
        if record.state != RUNNING:
            raise BadRequest(f"container is in {STATES[record.state]} state")
        return record

    def clean(self) -> None:
        """Take away what a killed process of ours left."""
        shutil.rmtree(self._directory, ignore_errors=True)

    async def collect(
        self, container_id: str, command: Sequence[str], timeout_seconds: float
    ) -> Outcome:
        """Until it ends; after ``timeout_seconds`` (0: never) it is killed and Timeout raised."""
        kept = {"stdout": bytearray(), "stderr": bytearray()}

        async def keep(stream: str, content: bytes) -> None:
            room = OUTPUT_BYTES_MAX - len(kept[stream])
            kept[stream] += content[:room]

        record = self.running(container_id)
        execution = _Execution(self._processes, self._clock, record.id)
        wanted = frozenset({"stdout", "stderr"})
        async with self._made(execution, record, command, wanted):
            try:
                async with asyncio.timeout(timeout_seconds or None):
                    code = await execution.run(keep)
            except TimeoutError:
                text = f"timeout {timeout_seconds:g}s exceeded: context deadline exceeded"
                raise Timeout(f"failed to exec in container: {text}") from None
        return Outcome(code, bytes(kept["stdout"]), bytes(kept["stderr"]))

    async def interact(
        self,
        container_id: str,
        command: Sequence[str],
        streams: frozenset[str],
        session: Session,
    ) -> int:
        """With a client; its exit code. When the client's task is cancelled it is killed."""
        record = self.running(container_id)
        execution = _Execution(self._processes, self._clock, record.id)
        async with self._made(execution, record, command, streams):
            return await execution.run(_only(streams, session.write), session)

    @contextlib.asynccontextmanager
    async def _made(
        self,
        execution: "_Execution",
        record: ContainerRecord,
        command: Sequence[str],
        streams: frozenset[str],
    ) -> AsyncIterator[None]:
        """Added to the container, and taken away in the end."""
        directory = self._directory / execution.id
        # containerd wants to know where output goes, also of what nobody reads.
        io = ContainerIo(
            container_id=record.id,
            stdin=str(directory / "stdin") if "stdin" in streams else "",
            stdout=str(directory / "stdout"),
            stderr="" if "tty" in streams else str(directory / "stderr"),
            tty="tty" in streams,
        )
        try:
            fifos.make(io)
            execution.open(io)
            process = process_of(record.process, command, tty=io.tty)
            await self._processes.exec(io, execution.id, process)
            try:
                yield
            finally:
                await execution.end()
        finally:
            execution.close()
            shutil.rmtree(directory, ignore_errors=True)


def _only(streams: frozenset[str], write: Write) -> Write:
    """What the client did not ask for is read and dropped."""

    async def passing(stream: str, content: bytes) -> None:
        if stream in streams:
            await write(stream, content)

    return passing


class _Execution:
    """One command: its FIFOs and what moves through them."""

    def __init__(self, processes: Processes, clock: Clock, container_id: str) -> None:
        self._processes = processes
        self._clock = clock
        self._container_id = container_id
        self.id = uuid.uuid4().hex
        self._sources: dict[str, Source] = {}
        self._stdin: Sink | None = None
        self._read = 0
        self._writing = 0
        self._ended = False

    def open(self, io: ContainerIo) -> None:
        """Before the runtime opens the other ends."""
        for name, path in (("stdout", io.stdout), ("stderr", io.stderr)):
            if path:
                self._sources[name] = Source(path)
        if io.stdin:
            self._stdin = Sink(io.stdin)

    async def run(self, write: Write, session: Session | None = None) -> int:
        """Start it; its exit code, after all its output."""
        try:
            await self._processes.start(self._container_id, self.id)
        except ApiError as error:
            text = f'failed to start exec "{self.id}": {error.message}'
            raise InternalError(f"failed to exec in container: {text}") from error
        try:
            async with asyncio.TaskGroup() as group:
                return await self._relay(group, write, session)
        except ExceptionGroup as failed:
            # Whatever else went wrong, went wrong because of the first.
            raise failed.exceptions[0] from None

    async def _relay(self, group: asyncio.TaskGroup, write: Write, session: Session | None) -> int:
        outputs = [
            group.create_task(self._pump(name, source, write))
            for name, source in self._sources.items()
        ]
        inputs = []
        if session is not None:
            inputs.append(group.create_task(self._feed(session)))
            inputs.append(group.create_task(self._resize(session)))
        ended = await self._processes.wait(self._container_id, self.id)
        self._ended = True
        for task in inputs:
            task.cancel()
        await self._drain(outputs)
        return ended.status

    async def _pump(self, name: str, source: Source, write: Write) -> None:
        async for chunk in source.chunks():
            self._read += 1
            self._writing += 1
            await write(name, chunk)
            self._writing -= 1

    async def _drain(self, outputs: Sequence[asyncio.Task[None]]) -> None:
        """A slow client is waited for; a child that only keeps the output open is not."""
        waiting = set(outputs)
        while waiting:
            before = self._read
            _, waiting = await asyncio.wait(waiting, timeout=SILENCE_SECONDS_MAX)
            if waiting and before == self._read and not self._writing:
                break
        for task in waiting:
            task.cancel()

    async def _feed(self, session: Session) -> None:
        if self._stdin is None:
            return
        async for chunk in session.stdin():
            await self._stdin.write(chunk)
        self._stdin.close()
        with contextlib.suppress(ApiError):
            await self._processes.close_stdin(self._container_id, self.id)

    async def _resize(self, session: Session) -> None:
        async for width, height in session.sizes():
            with contextlib.suppress(ApiError):
                await self._processes.resize(self._container_id, self.id, width, height)

    async def end(self) -> None:
        """Kill it if it still runs, and take it away."""
        with contextlib.suppress(ApiError):
            if not self._ended:
                await self._processes.kill(self._container_id, signal.SIGKILL, self.id)
                with contextlib.suppress(NotFound):
                    await self._processes.wait(self._container_id, self.id)
            await self._processes.delete_process(self._container_id, self.id)

    def close(self) -> None:
        """Our ends."""
        for source in self._sources.values():
            source.close()
        if self._stdin is not None:
            self._stdin.close()


def process_of(main: Mapping[str, Any], command: Sequence[str], *, tty: bool) -> dict[str, Any]:
    """The container's own process with another command."""
    made = {key: value for key, value in main.items() if key != "consoleSize"}
    made |= {"args": list(command), "terminal": tty}
    if tty:
        env = [item for item in main.get("env") or () if not item.startswith("TERM=")]
        made["env"] = [*env, TERM]
    return made
