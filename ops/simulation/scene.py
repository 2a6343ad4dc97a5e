"""What a run is of: who takes part, what people do, how rough it is, and the one blow, if any."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pilothouse.ops.simulation.faults import Weather
from pilothouse.ops.simulation.people import batch, limits, machines, network, owners, workloads
from pilothouse.ops.simulation.people.person import Person

NODES = (3, 4)
TROUBLE_SECONDS = (60.0, 300.0)
IDLE_SECONDS = 3600.0
IDLE_EVERY = 16
"""Seeds that also sit through an idle hour; it costs as much as two others."""
CALM_SECONDS = 40.0
"""Between two looks at what is left; all must be well three times in a row."""
ACTS_MAX = 4

SERVER = "server"
"""Whom a blow may strike besides members."""

Act = Callable[[Person], Awaitable[None]]
How = Literal["kill", "part", "lag"]


_ACTS: Sequence[Act] = (
    workloads.deployments,
    workloads.statefulsets,
    workloads.daemonsets,
    batch.jobs,
    batch.cronjobs,
    limits.drains,
    limits.quotas,
    limits.autoscalers,
    machines.taints,
    network.services,
    owners.namespaces,
    owners.owners,
    workloads.replicationcontrollers,
)


@dataclass(frozen=True, slots=True)
class Blow:
    """``victim`` is struck when the ``commit``-th write is safe: killed, cut off for a while (long
    enough to lose a Lease), or for a moment, with its watches far behind afterwards.

    What is counted are the writes in the namespace of the run's one act.
    """

    victim: str
    how: How
    commit: int


@dataclass(frozen=True, slots=True)
class Scene:
    """``members`` are named ``controllers-…``, ``scheduler…`` and ``node-…``.

    ``nodes_fail`` tells invariants what nobody promises; ``trouble_seconds`` is when the last
    fault is over and the last person done.
    """

    seed: int
    weather: Weather
    members: Sequence[str]
    nodes_fail: bool
    acts: Sequence[Act]
    trouble_seconds: float
    idle_seconds: float = 0.0
    calm_seconds: float = CALM_SECONDS
    blow: Blow | None = None


def drawn(seed: int) -> Scene:
    """The one that a seed chooses."""
    draw = random.Random(f"{seed}/run")  # noqa: S311 - no secret
    nodes_fail = draw.choice((True, False))
    standby = [name for name in ("controllers-b", "scheduler-b") if draw.choice((True, False))]
    nodes = [f"node-{number}" for number in range(draw.choice(NODES))]
    return Scene(
        seed,
        Weather.of(random.Random(f"{seed}/weather")),  # noqa: S311 - no secret
        ["controllers-a", "scheduler", *standby, *nodes],
        nodes_fail,
        draw.sample(_ACTS, draw.randint(1, ACTS_MAX)),
        draw.uniform(*TROUBLE_SECONDS),
        0.0 if seed % IDLE_EVERY else IDLE_SECONDS,
    )
