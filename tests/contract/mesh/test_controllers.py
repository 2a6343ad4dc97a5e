"""``mesh.v1.Controllers`` as grpcurl sees it, over loops of which one key is poisoned."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path

import pytest

from pilothouse.services.controllers.adapters.world import Controller
from pilothouse.services.controllers.rpc import controllers as rpc
from pilothouse.services.machinery.errors import Conflict
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import Loop, Result
from pilothouse.services.runtime.control.queue import WorkQueue
from pilothouse.services.runtime.rpc.server import Listen, serve

GRPCURL = str(Path(sys.executable).with_name("grpcurl"))
GOOD = [Key("default", f"good-{number}") for number in range(100)]
POISONED, REFUSED, LATER = (Key("default", name) for name in ("poisoned", "refused", "later"))


class Reconciler:
    name = "deployment"

    def __init__(self):
        self.done = []
        self.tries = 0

    async def reconcile(self, key):
        if key == POISONED:
            self.tries += 1
            raise KeyError("never foreseen")
        if key == REFUSED:
            raise Conflict("the object has been modified")
        self.done.append(key)
        return Result(again_after=3600) if key == LATER else Result()


@pytest.fixture
async def running(tmp_path):
    queue, reconciler = WorkQueue(), Reconciler()
    loop = Loop(reconciler, queue, workers=2)
    everything = [POISONED, *GOOD, REFUSED, LATER]
    served = {"deployment": Controller(loop, lambda: everything)}
    socket = str(tmp_path / "controllers.sock")
    async with serve([rpc.service(served)], [Listen(socket)]):
        task = asyncio.create_task(loop.run())
        for key in everything:
            queue.add(key)
        yield socket, reconciler
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def call(socket, method, code=0, **request):
    process = await asyncio.create_subprocess_exec(
        GRPCURL, "-plaintext", "-unix", "-emit-defaults", "-d", json.dumps(request), socket,
        f"pilothouse.mesh.v1.Controllers/{method}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, refused = await process.communicate()
    assert (process.returncode == 0) == (code == 0), refused
    return json.loads(said) if code == 0 else refused.decode()


async def until(holds):
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


async def test_a_poisoned_object_delays_only_itself(running):
    socket, reconciler = running
    await until(lambda: set(reconciler.done) >= {*GOOD, LATER} and reconciler.tries)
    [listed] = (await call(socket, "List"))["controllers"]
    failures = {item["key"]: item["error"] for item in listed["failures"]}
    assert failures["default/poisoned"] == "KeyError: 'never foreseen'"
    assert failures["default/refused"] == "Conflict: the object has been modified"
    assert len(failures) == 2
    assert int(listed["workers"]) == 2
    assert int(listed["adds"]) >= len(GOOD) + 3
    assert int(listed["retries"]) >= 2
    # All is done for the others again, as if it were not there.
    reconciler.done.clear()
    assert (await call(socket, "Resync", controller="deployment-controller"))["queued"] == "103"
    await until(lambda: set(reconciler.done) >= {*GOOD, LATER})


async def test_one_object_says_what_it_waits_for(running):
    socket, reconciler = running
    await until(lambda: set(reconciler.done) >= {*GOOD, LATER} and reconciler.tries)

    async def explain(key):
        where = {"namespace": key.namespace, "name": key.name}
        return await call(socket, "Explain", controller="deployment", **where)

    assert (await explain(GOOD[0]))["state"] == "IDLE"
    later = await explain(LATER)
    assert later["state"] == "DELAYED", later
    assert 3000 < later["due_seconds"] <= 3600
    assert later["failure"] is None
    poisoned = await explain(POISONED)
    assert poisoned["failure"]["error"] == "KeyError: 'never foreseen'"
    assert "lately with KeyError" in poisoned["summary"]


async def test_one_object_is_looked_at_again(running):
    socket, reconciler = running
    await until(lambda: LATER in reconciler.done)
    reconciler.done.clear()
    where = {"namespace": "default", "name": "later"}
    assert (await call(socket, "Resync", controller="deployment", **where))["queued"] == "1"
    await until(lambda: LATER in reconciler.done)


@pytest.mark.parametrize(
    ("method", "request_", "code"),
    [
        ("Resync", {"controller": "nobody"}, "NotFound"),
        ("Resync", {"controller": "deployment", "namespace": "x"}, "InvalidArgument"),
        ("Explain", {"controller": "nobody", "name": "x"}, "NotFound"),
        ("Explain", {"controller": "deployment"}, "InvalidArgument"),
    ],
)
async def test_what_is_not_there_is_refused(running, method, request_, code):
    assert code in await call(running[0], method, code=1, **request_)
