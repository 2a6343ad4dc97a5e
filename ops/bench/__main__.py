"""``pilothouse bench VERB``: run tables, print them, keep them as JSON in ``.cache/bench``."""

import asyncio
import importlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import uvloop

from pilothouse.ops.bench.rows import Row

VERBS = ("store", "api", "schedule", "simulate", "controllers", "pods", "proxy", "start", "idle")
SIZED = (["controllers"], ["simulate"])
"""Those that take flags, alone."""
RESULTS = Path(__file__).resolve().parents[2] / ".cache" / "bench"
HEADER = ("what", "ours", "Kubernetes", "goal", "unit", "ratio", "")


USAGE = f"""usage: pilothouse bench {"|".join(VERBS)}|all
       pilothouse bench controllers [--deployments N] [--replicas N] [--nodes N]
       pilothouse bench simulate [--nodes N] [--pods N]
"""


def main(argv: Sequence[str]) -> int:
    """Run the named verbs in turn; 2 for one that is not there."""
    first = next((at for at, word in enumerate(argv) if word.startswith("-")), len(argv))
    verbs, flags = list(argv[:first]), list(argv[first:])
    if verbs == ["all"]:
        verbs = list(VERBS)
    if not verbs or not set(verbs) <= set(VERBS) or (flags and verbs not in SIZED):
        sys.stderr.write(USAGE)
        return 2
    # Its notices about processes that are started while it is in use are no news.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    for verb in verbs:
        module = importlib.import_module(f"pilothouse.ops.bench.{verb}")
        work = module.run(module.parse(flags)) if flags else module.run()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rows: list[Row] = runner.run(work)
        title = (module.__doc__ or "").partition("\n")[0]
        sys.stdout.write(f"\n{verb}: {title}\n\n{table(rows)}\n")
        sys.stdout.flush()
        RESULTS.mkdir(parents=True, exist_ok=True)
        text = json.dumps([asdict(row) for row in rows], indent=1)
        (RESULTS / f"{verb}.json").write_text(text + "\n")
    return 0


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned columns; the ratio is ours divided by Kubernetes' own."""
    lines = [HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in (0, 4, 6) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cells(row: Row) -> tuple[str, ...]:
    ratio = f"{row.ours / row.theirs:.2f}" if row.theirs else ""
    return (
        row.name,
        _number(row.ours),
        _number(row.theirs),
        _number(row.goal),
        row.unit,
        ratio,
        row.note,
    )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"  # noqa: PLR2004 - 3 digits


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
