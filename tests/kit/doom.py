"""A kubelet that dies at the N-th call it makes of its runtime.

From then on no call leaves it and no answer reaches it, as if it had been killed just there.
"""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Literal

from grpc import aio

Moment = Literal["before", "during", "after"]
"""The last call was never sent; was broken off under way; was carried out, and nobody heard."""

BROKEN_OFF_AFTER_SECONDS = 0.02


class Doom:
    """Counts calls; ``died`` is set at the fatal one. ``calls``: names of all that were made."""

    def __init__(self, number: int, moment: Moment, method: str = "") -> None:
        """The ``number``-th call, or that of ``method``, is the last; 0: none is."""
        self._number, self._moment, self._method = number, moment, method
        self.calls: list[str] = []
        self.died = asyncio.Event()
        self.broke_off_a_start = False
        """A runtime takes back what it has started already when its caller goes."""

    async def pass_on(self, method: str, call: Any, request: Any, **options: Any) -> Any:
        """The answer; never any when doomed."""
        if self.died.is_set():
            await asyncio.Event().wait()
        name = method.rpartition("/")[2]
        self.calls.append(name)
        counted = [one for one in self.calls if not self._method or one == self._method]
        if len(counted) != self._number or (self._method and name != self._method):
            return await self._survive(call(request, **options))
        if self._moment == "after":
            await call(request, **options)
        elif self._moment == "during":
            under_way = call(request, **options)
            await asyncio.sleep(BROKEN_OFF_AFTER_SECONDS)
            self.broke_off_a_start = name == "StartContainer" and under_way.cancel()
            under_way.cancel()
        self.died.set()
        return await asyncio.Event().wait()

    async def _survive(self, under_way: Any) -> Any:
        """What other calls are told, unless death comes first: then they are broken off too."""
        answer = await under_way
        if self.died.is_set():
            await asyncio.Event().wait()
        return answer


class _Call:
    """Made when it is waited for; until then it can be taken back."""

    def __init__(self, made: Coroutine[Any, Any, Any]) -> None:
        self._made = made

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._made.__await__()

    def cancel(self) -> None:
        """Fine when it is over."""
        self._made.close()


class DoomedChannel:
    """A channel whose unary calls are counted; streams go their way."""

    def __init__(self, channel: aio.Channel, doom: Doom) -> None:
        self._channel, self._doom = channel, doom

    def unary_unary(self, method: str, *options: Any, **named: Any) -> Any:
        """As grpc's own."""
        call = self._channel.unary_unary(method, *options, **named)

        def counted(request: Any, **rest: Any) -> _Call:
            return _Call(self._doom.pass_on(method, call, request, **rest))

        return counted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)
