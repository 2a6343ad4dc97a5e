"""``ops/bench VERB``: run one table, or all, print it and keep it as JSON in ``.cache/bench``."""

import asyncio
import importlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import uvloop

from pilothouse.ops.bench.rows import Row

VERBS = ("store", "api", "schedule", "simulate", "controllers", "pods", "proxy", "start", "idle")
RESULTS = Path(__file__).resolve().parents[2] / ".cache" / "bench"
HEADER = ("what", "ours", "Kubernetes", "goal", "unit", "ratio", "")


def main(argv: Sequence[str]) -> int:
    """Run the named verbs in turn; 2 for one that is not there."""
    verbs = list(VERBS) if list(argv) == ["all"] else list(argv)
    if not verbs or not set(verbs) <= set(VERBS):
        sys.stderr.write(f"usage: ops/bench {'|'.join(VERBS)}|all\n")
        return 2
    for verb in verbs:
        module = importlib.import_module(f"pilothouse.ops.bench.{verb}")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rows: list[Row] = runner.run(module.run())
        sys.stdout.write(
            f"\n{verb}: {(module.__doc__ or '').partition(chr(10))[0]}\n\n{table(rows)}\n"
        )
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
