"""Who runs containers says when they end: by CRI's stream, by containerd's own, or not at all."""

import asyncio
import uuid
from contextlib import aclosing

import pytest
from grpc import aio
from kit.containerd import Containerd, pod_of, version, wait_for
from kit.cri_calls import calling
from kit.cri_shim import CriShim
from kit.node import FakeCluster, workers

from pilothouse.services.kubelet.adapters.cri.events import RuntimeEvents
from pilothouse.services.machinery.errors import ApiError, MethodNotAllowed
from pilothouse.services.runtime.rpc.channel import open_channel

SECONDS = 20.0


async def _told(runtime: Containerd, wanted: set[str], listening: asyncio.Event) -> None:
    """Until all of these were told of."""
    async with open_channel(runtime.endpoint) as channel:
        left = set(wanted)
        async with aclosing(RuntimeEvents(channel).exits()) as exits:
            listening.set()
            async for id_ in exits:
                left.discard(id_)
                if not left:
                    return


@pytest.fixture
def chosen(runtime: Containerd) -> str:
    """CRI's stream where there is one."""
    has_one = version() >= (1, 7) or isinstance(runtime, CriShim)
    return "cri" if has_one else "native"


async def test_ends_of_containers_and_sandboxes_are_told(runtime: Containerd, chosen: str) -> None:
    if version() == (1, 7) and not isinstance(runtime, CriShim):
        pytest.skip("containerd 1.7 tells each event to one listener only: see the test below")
    async with workers(runtime, FakeCluster()) as node:
        node.apply(pod_of("uid-told", name="told"))
        await wait_for(lambda: node.is_ready("uid-told"))
        (worker,) = node.pods.workers()
        ids = {item.id for item in (*worker.observed.sandboxes, *worker.observed.containers)}
        assert len(ids) == 2
        listening = asyncio.Event()
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
            group.create_task(_told(runtime, ids, listening))
            await listening.wait()
            # The stream is open when the server has answered; that is not told.
            await asyncio.sleep(0.5)
            node.delete("uid-told", grace=1)
        await wait_for(lambda: "uid-told" in node.cluster.removed)


async def test_the_kubelet_listens_to_cri_where_cri_tells(runtime: Containerd, chosen: str) -> None:
    """containerd 1.7 gives an event to one listener, even to one that has gone: so there are many
    here. All that is asked of it is that one is told, on the right stream.
    """
    async with calling(runtime) as calls, open_channel(runtime.endpoint) as channel:
        events = RuntimeEvents(channel)
        sandbox = await calls.sandbox()
        made: set[str] = set()

        async def listen() -> None:
            async with aclosing(events.exits()) as exits:
                async for id_ in exits:
                    if id_ in made:
                        return

        async with asyncio.timeout(3 * SECONDS), asyncio.TaskGroup() as group:
            listening = group.create_task(listen())
            await asyncio.sleep(0.5)
            while not listening.done():
                made.add(id_ := await calls.run(sandbox, uuid.uuid4().hex[:8], command=["true"]))
                await calls.ended(id_)
        assert events.listens_to == chosen


async def test_a_runtime_that_tells_nothing_says_so() -> None:
    server = aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(MethodNotAllowed):
                await anext(RuntimeEvents(channel).exits())
    finally:
        await server.stop(0)


async def test_a_runtime_that_goes_away_is_an_error() -> None:
    async with aio.insecure_channel("127.0.0.1:1") as channel:
        with pytest.raises(ApiError):
            await anext(RuntimeEvents(channel).exits())
