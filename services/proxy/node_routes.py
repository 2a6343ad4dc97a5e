"""The smaller loop: the other nodes become routes to their pods."""

from collections.abc import Sequence
from typing import Protocol

from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.proxy import routes
from pilothouse.services.proxy.ports import Refused, Routes
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

RETRY_SECONDS = 1.0


class Nodes(Protocol):
    """The cluster's nodes, as last seen."""

    def nodes(self) -> Sequence[Node]: ...

    async def wait_changed(self) -> None: ...


async def follow(nodes: Nodes, kernel: Routes, *, node: str, clock: Clock) -> None:
    """Keep routes to the pods of all nodes but ``node``, until cancelled.

    Nodes change with every report of their kubelet; routes are looked at only when what is wanted
    of them changed, or when the kernel refused one (its link may not be up yet).
    """
    log = telemetry.logger(part="routes")
    done: frozenset[routes.Route] | None = None
    while True:
        want = routes.wanted(nodes.nodes(), node)
        if want != done:
            try:
                plan = routes.plan(want, await kernel.installed())
                if plan:
                    await kernel.apply(plan)
                    log.info("routes written", count=len(plan.write), removed=len(plan.remove))
                done = want
            except Refused as refusal:
                log.warning("route refused", error=str(refusal))
                await clock.sleep(RETRY_SECONDS)
                continue
        await nodes.wait_changed()
