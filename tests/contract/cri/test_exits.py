"""Who runs containers says when they end: by CRI's stream, by containerd's own, or not at all."""

import asyncio
from contextlib import aclosing

import pytest
from grpc import aio
from kit.containerd import Containerd, pod_of, wait_for
from kit.node import FakeCluster, workers

from pilothouse.services.kubelet.adapters.runtime_events import RuntimeEvents
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


async def test_ends_of_containers_and_sandboxes_are_told(runtime: Containerd) -> None:
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
