"""From nothing to a first pod that answers through its Service, images at hand.

A cluster of its own is brought up, the example is created, and its Service is asked until it
answers. Packages, ``.venv`` and images are there; the cluster's state is not.
"""

import asyncio
import os
import sys
from pathlib import Path

from pilothouse.ops.bench.rows import Row
from pilothouse.ops.local.cluster import Cluster, load
from pilothouse.ops.local.fabric import netns_path
from pilothouse.ops.local.take_down import take_down
from pilothouse.services.runtime.clock import SystemClock

CLUSTER = Cluster("bench", port=26443, publish_address="127.0.0.9")
CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "examples" / "nginx-deployment.yaml"
ANSWER_SECONDS_MAX = 60.0
# k3d and kind, nothing to a first pod answering (goals, third table).
K3D_SECONDS = 19.9
GOAL_SECONDS = 8.0
MIB = 1024 * 1024


async def run() -> list[Row]:
    """The time until the API and the nodes are ready, and until the first pod answers."""
    clock = SystemClock()
    await asyncio.to_thread(take_down, CLUSTER, keep_state=False)
    began = clock.monotonic()
    try:
        await up()
        ready = clock.monotonic() - began
        await kubectl("create", "-f", str(EXAMPLE))
        await first_answer()
        answered = clock.monotonic() - began
    finally:
        await asyncio.to_thread(take_down, load(CLUSTER.name) or CLUSTER, keep_state=False)
    return [
        Row("API answers and the node is Ready", "s", ready),
        Row(
            "first pod answers through its Service",
            "s",
            answered,
            theirs=K3D_SECONDS,
            goal=GOAL_SECONDS,
            note="beside k3d; kind needs 33.0 s",
        ),
    ]


async def up() -> None:
    """``ops/up`` with the bench cluster's name; RuntimeError with what it said when it fails."""
    await _output(
        str(CHECKOUT / "ops/up"),
        f"--name={CLUSTER.name}",
        f"--port={CLUSTER.port}",
        f"--publish-address={CLUSTER.publish_address}",
    )


async def kubectl(*arguments: str) -> str:
    """What kubectl prints; RuntimeError with its complaint."""
    program = Path(sys.executable).with_name("kubectl")
    return await _output(str(program), f"--kubeconfig={CLUSTER.kubeconfig}", *arguments)


async def first_answer() -> None:
    """Ask the Service from its node until it answers."""
    address = await kubectl("get", "service", "ngx-service", "-o", "jsonpath={.spec.clusterIP}")
    namespace = netns_path(CLUSTER.members[0].netns)
    script = f"until curl -sf -m 1 -o /dev/null http://{address}/; do sleep 0.02; done"
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        await _output("nsenter", f"--net={namespace}", "sh", "-c", script)


async def _output(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "HOME": str(CLUSTER.state)},
    )
    try:
        output, errors = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        raise
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {output.decode()}{errors.decode()}")
    return output.decode()
