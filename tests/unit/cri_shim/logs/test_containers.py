"""Output of containers through real FIFOs."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from pilothouse.cri_shim.logs import containers
from pilothouse.cri_shim.logs.containers import ContainerLogs
from pilothouse.cri_shim.records import ContainerIo
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.runtime.clock import SystemClock


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[ContainerLogs]:
    async with asyncio.TaskGroup() as group:
        found = ContainerLogs(group, SystemClock(), tmp_path / "io")
        yield found
        for name in list(found._outputs):
            await found.remove(name)


def _io(root: Path, **fields: object) -> ContainerIo:
    return ContainerIo(
        container_id="c",
        stdout=str(root / "io" / "c" / "stdout"),
        stderr=str(root / "io" / "c" / "stderr"),
        log_path=str(root / "logs" / "0.log"),
        **fields,
    )


class Shim:
    """What the runtime's shim does: holds both ends open."""

    def __init__(self, io: ContainerIo) -> None:
        self.fds = {name: os.open(getattr(io, name), os.O_RDWR) for name in ("stdout", "stderr")}

    def say(self, stream: str, content: bytes) -> None:
        os.write(self.fds[stream], content)

    def end(self) -> None:
        for fd in self.fds.values():
            os.close(fd)


async def _until(question: Callable[[], bool]) -> None:
    for _ in range(500):
        if question():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never")


def _said(io: ContainerIo) -> list[str]:
    return [line.split(" ", 1)[1] for line in Path(io.log_path).read_text().splitlines()]


async def test_both_streams_are_written_until_they_end(logs: ContainerLogs, tmp_path: Path) -> None:
    io = _io(tmp_path)
    await logs.open(io)
    await logs.open(io)
    shim = Shim(io)
    shim.say("stdout", b"one\ntwo")
    await _until(lambda: "stdout F one" in _said(io))
    shim.say("stderr", b"bad\n")
    shim.end()
    await logs.close("c")
    assert sorted(_said(io)) == ["stderr F bad", "stdout F one", "stdout P two"]
    await logs.close("c")
    await logs.remove("c")
    assert not (tmp_path / "io" / "c").exists()


async def test_what_is_said_while_nobody_reads_is_read_later(
    logs: ContainerLogs, tmp_path: Path
) -> None:
    io = _io(tmp_path)
    await logs.open(io)
    shim = Shim(io)
    logs._tasks["c"].cancel()
    await _until(logs._outputs["c"].done.is_set)
    shim.say("stdout", b"between\n")
    await logs.open(io)
    await _until(lambda: _said(io) == ["stdout F between"])
    shim.end()


async def test_a_new_file_after_the_old_was_moved(logs: ContainerLogs, tmp_path: Path) -> None:
    io = _io(tmp_path)
    await logs.open(io)
    shim = Shim(io)
    shim.say("stdout", b"old\n")
    await _until(lambda: _said(io) == ["stdout F old"])
    Path(io.log_path).rename(tmp_path / "logs" / "0.log.1")
    await logs.reopen("c")
    shim.say("stdout", b"new\n")
    await _until(lambda: _said(io) == ["stdout F new"])
    shim.end()
    await logs.close("c")
    with pytest.raises(NotFound):
        await logs.reopen("c")


async def test_who_is_attached_sees_what_comes_and_is_let_go_when_slow(
    logs: ContainerLogs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "SLOW_SECONDS_MAX", 0.05)
    io = _io(tmp_path, stdin=str(tmp_path / "io" / "c" / "stdin"))
    await logs.open(io)
    shim = Shim(io)
    wanted = frozenset({"stdin", "stdout"})
    async with (
        logs.attach("c", wanted) as (attached, stdin),
        logs.attach("c", frozenset({"stdout"})) as (slow, none),
    ):
        assert none is None
        reader = os.open(io.stdin, os.O_RDONLY | os.O_NONBLOCK)
        await stdin.write(b"hello")
        assert os.read(reader, 10) == b"hello"
        os.close(reader)
        chunks = attached.chunks()
        for _ in range(40):
            shim.say("stdout", b"x\n")
            assert await anext(chunks) == ("stdout", b"x\n")
        assert not slow.is_open
        assert attached.is_open
    shim.end()
    await logs.close("c")
    with pytest.raises(NotFound):
        async with logs.attach("c", frozenset()):
            pass
