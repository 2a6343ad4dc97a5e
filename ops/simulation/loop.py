"""An event loop on virtual time, and a process whose random bytes are a seed's."""

import asyncio
import contextlib
import contextvars
import gc
import os
import random
import selectors
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from typing_extensions import TypeVarTuple, override

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EPOCH = 1_800_000_000.0
"""Wall time of a run's begin: a Friday morning in January 2027."""


TURN_SECONDS = 1e-6
"""What a turn of the loop takes: time never stands still, as little as it does elsewhere."""
TURNS_MAX = 50_000
"""In a row without a pause: who still has something to do then turns in a circle."""


class Stuck(RuntimeError):
    """Nothing is ready and no timer is set, or no moment comes to its end."""


class _Nothing(selectors.SelectSelector):
    """No file is ever ready; whoever would wait for one hands the time over instead."""

    def __init__(self, passed: Callable[[float], None]) -> None:
        super().__init__()
        self._passed = passed
        self._turns = 0

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("nothing is ready and no timer is set")
        self._turns = 0 if timeout > 0 else self._turns + 1
        self._passed(max(timeout, 0.0) + TURN_SECONDS)
        if self._turns > TURNS_MAX:
            self._turns = 0
            raise Stuck(f"{TURNS_MAX} turns without a pause")
        return []


class _Numbered(asyncio.Task[T]):
    """A task whose place in a set depends on when it was made, not on where in memory it lies."""

    _made = 0

    def __new__(cls, *_: Any, **__: Any) -> "_Numbered[T]":
        made = super().__new__(cls)
        _Numbered._made += 1
        made._number = _Numbered._made
        return made

    _number: int

    @classmethod
    def begin(cls) -> None:
        """The next one is the first of a loop."""
        _Numbered._made = 0

    @override
    def __hash__(self) -> int:
        return self._number

    @override
    def __eq__(self, other: object) -> bool:
        return self is other


def _number(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, T],
    context: contextvars.Context | None = None,
) -> asyncio.Task[T]:
    return _Numbered(coroutine, loop=loop, context=context)


class VirtualLoop(asyncio.SelectorEventLoop):
    """One thread, no waiting: the next timer's moment comes when nothing else is ready."""

    def __init__(self) -> None:
        self._passed_seconds = 0.0
        super().__init__(_Nothing(self._pass))
        _Numbered.begin()
        self.set_task_factory(_number)  # type: ignore[arg-type] # a task is what it gives

    def _pass(self, seconds: float) -> None:
        self._passed_seconds += seconds

    @override
    def time(self) -> float:
        return self._passed_seconds

    @override
    def run_in_executor(
        self, executor: Any, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever awaits it gets it
            done.set_exception(error)
        return done


class VirtualClock:
    """The loop's time as a Clock; its wall time can be set, as an administrator would."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.offset_seconds = 0.0

    def now(self) -> float:
        return EPOCH + self._loop.time() + self.offset_seconds

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """While the block lasts, all randomness of this process comes from ``seed``.

    Uids, generated names and jitter are part of a run. Garbage is not looked for meanwhile: when
    an object is found to be unreachable must not depend on what ran before.
    """
    source = random.Random(seed)  # noqa: S311 - a simulation keeps no secret
    before = os.urandom, random.getstate(), gc.isenabled()
    gc.disable()
    os.urandom = source.randbytes
    setattr(random, "_urandom", source.randbytes)  # noqa: B010 - where SystemRandom has it from
    random.seed(seed)
    try:
        yield
    finally:
        os.urandom = before[0]
        setattr(random, "_urandom", before[0])  # noqa: B010 - as above
        random.setstate(before[1])
        if before[2]:
            gc.enable()


def run(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]], seed: int) -> T:
    """Run ``main`` on a new virtual loop, with the randomness of ``seed``."""
    loops: list[VirtualLoop] = []

    def make() -> VirtualLoop:
        loops.append(VirtualLoop())
        return loops[0]

    with seeded(seed), asyncio.Runner(loop_factory=make) as runner:
        runner.get_loop()
        return runner.run(main(loops[0]))
