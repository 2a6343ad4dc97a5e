"""Of a StatefulSet's pod there is one, wherever one looks."""

from collections.abc import Iterator, Mapping

from pilothouse.ops.simulation.state import State, controller
from pilothouse.services.kubelet.adapters.hollow.runtime import MemoryRuntime
from pilothouse.services.machinery.objects import Key

RUNNING = 1
"""As a runtime's survey numbers the states of containers."""
PAIR = 2


async def doubles(runtimes: Mapping[str, MemoryRuntime], state: State) -> Iterator[str]:
    """Pods of StatefulSets that run under one name in two places now."""
    found: dict[Key, list[str]] = {}
    for node, runtime in sorted(runtimes.items()):
        for ref, states in (await runtime.survey()).items():
            if any(number == RUNNING for _, number in states):
                found.setdefault(Key(ref.namespace, ref.name), []).append(f"{ref.uid} on {node}")
    return (
        f"{key} runs twice: {', '.join(places)}"
        for key, places in found.items()
        if len(places) >= PAIR and _is_ordinal(state, key)
    )


def _is_ordinal(state: State, key: Key) -> bool:
    pod = state.get("pods", key)
    owner = controller(pod) if pod is not None else None
    return owner is None or owner["kind"] == "StatefulSet"
