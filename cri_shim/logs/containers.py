"""The output of every container: read as it comes, written down, and given to who is attached."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from pilothouse.cri_shim.logs import fifos
from pilothouse.cri_shim.logs.fifos import Sink, Source
from pilothouse.cri_shim.logs.files import LogFile
from pilothouse.cri_shim.records import ContainerIo
from pilothouse.services.machinery.errors import InternalError, NotFound
from pilothouse.services.runtime.clock import Clock

DRAIN_SECONDS_MAX = 5.0
"""A child of the process may hold its output open for ever."""
CHUNKS_WAITING_MAX = 16
SLOW_SECONDS_MAX = 10.0
"""Who is attached and reads nothing for so long is let go: the container must go on."""


class Attachment:
    """One who is attached: chunks of the streams he wants, until the process or he ends."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        self._chunks: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue(CHUNKS_WAITING_MAX)
        self.is_open = True

    async def feed(self, stream: str, chunk: bytes) -> None:
        """Wait while he is slow, but not for ever."""
        if not self.is_open or stream not in self._wanted:
            return
        try:
            async with asyncio.timeout(SLOW_SECONDS_MAX):
                await self._chunks.put((stream, chunk))
        except TimeoutError:
            self.end()

    def end(self) -> None:
        """No more comes; what waits is still read, but for the last chunk of a full queue."""
        if self.is_open:
            self.is_open = False
            if self._chunks.full():
                self._chunks.get_nowait()
            self._chunks.put_nowait(None)

    async def chunks(self) -> AsyncIterator[tuple[str, bytes]]:
        """Stream and content."""
        while (found := await self._chunks.get()) is not None:
            yield found


class _Output:
    """One container's FIFOs, file and audience."""

    def __init__(self, io: ContainerIo, clock: Clock) -> None:
        self.io = io
        self._clock = clock
        fifos.make(io)
        self.file = LogFile(io.log_path)
        self.stdin = Sink(io.stdin) if io.stdin else None
        pairs = (("stdout", io.stdout), ("stderr", io.stderr))
        self._sources = {name: Source(path) for name, path in pairs if path}
        self.audience: set[Attachment] = set()
        self.done = asyncio.Event()

    async def run(self) -> None:
        """Until every stream has ended."""
        async with asyncio.TaskGroup() as group:
            for stream, source in self._sources.items():
                group.create_task(self._read(stream, source))

    async def _read(self, stream: str, source: Source) -> None:
        async for chunk in source.chunks():
            self.file.write(stream, chunk, self._clock.now())
            for attached in list(self.audience):
                await attached.feed(stream, chunk)
        self.file.finish(stream, self._clock.now())

    def close(self) -> None:
        """May be repeated."""
        if self.done.is_set():
            return
        self.done.set()
        for source in self._sources.values():
            source.close()
        if self.stdin is not None:
            self.stdin.close()
        for attached in self.audience:
            attached.end()
        self.file.close()


class ContainerLogs:
    """All of them; the reading happens in tasks of ``group``. Implements ``ports.Logs``.

    A container's FIFOs lie in ``directory``, in a folder of its name.
    """

    def __init__(self, group: asyncio.TaskGroup, clock: Clock, directory: Path) -> None:
        self._group = group
        self._clock = clock
        self._directory = directory
        self._outputs: dict[str, _Output] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def open(self, io: ContainerIo) -> None:
        """Read from now on; nothing new when it is read already."""
        known = self._outputs.get(io.container_id)
        if known is not None and not known.done.is_set():
            return
        try:
            output = _Output(io, self._clock)
        except OSError as error:
            raise InternalError(f"container {io.container_id}: its output: {error}") from error
        self._outputs[io.container_id] = output
        task = self._group.create_task(output.run())
        task.add_done_callback(lambda _: output.close())
        self._tasks[io.container_id] = task

    async def close(self, container_id: str) -> None:
        """Wait for the end of the output, but not for ever."""
        output = self._outputs.pop(container_id, None)
        task = self._tasks.pop(container_id, None)
        if output is None or task is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS_MAX):
                await output.done.wait()
        task.cancel()
        await asyncio.wait([task])

    async def reopen(self, container_id: str) -> None:
        """NotFound when the container does not run."""
        try:
            self._output(container_id).file.reopen()
        except OSError as error:
            raise InternalError(f"container {container_id}: log: {error}") from error

    async def remove(self, container_id: str) -> None:
        """With the FIFOs."""
        await self.close(container_id)
        shutil.rmtree(self._directory / container_id, ignore_errors=True)

    @contextlib.asynccontextmanager
    async def attach(
        self, container_id: str, streams: frozenset[str]
    ) -> AsyncIterator[tuple[Attachment, Sink | None]]:
        """What comes from now on, and where its input goes; NotFound when it does not run."""
        output = self._output(container_id)
        attached = Attachment(streams)
        output.audience.add(attached)
        try:
            yield attached, output.stdin if "stdin" in streams else None
        finally:
            output.audience.discard(attached)
            attached.end()

    def _output(self, container_id: str) -> _Output:
        output = self._outputs.get(container_id)
        if output is None or output.done.is_set():
            raise NotFound(f"container {container_id} is not running")
        return output
