"""Sets of CPUs as Linux writes them: ``0-3,7``. Pure."""

from collections.abc import Iterable

Cpus = frozenset[int]


def parse(text: str) -> Cpus:
    """ValueError when it is none."""
    found: set[int] = set()
    for part in filter(None, (item.strip() for item in text.split(","))):
        first, sign, last = part.partition("-")
        begin, end = int(first), int(last if sign else first)
        if begin < 0 or end < begin:
            raise ValueError(f'"{text}" is no set of CPUs')
        found.update(range(begin, end + 1))
    return frozenset(found)


def render(cpus: Iterable[int]) -> str:
    """In order, neighbours together."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and cpu == runs[-1][-1] + 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
