"""``pilothouse simulate-faults``: run seeds or sweeps, print the trace of one that fails."""

import argparse
import gc
import sys
from collections.abc import Iterator

from pilothouse.ops.simulation import sweep
from pilothouse.ops.simulation.run import Outcome, play, simulate
from pilothouse.services.runtime.clock import SystemClock

LINES_SHOWN = 80
RUNS_BETWEEN_NEWS = 50


def main(argv: list[str]) -> int:
    """1 when a run fails; it and the end of its trace are printed."""
    parser = argparse.ArgumentParser(prog="pilothouse simulate-faults", description=__doc__)
    add = parser.add_argument
    add("--seed", type=int, help="run this one and print its whole trace")
    add("--seeds", type=int, default=20, metavar="N", help="how many")
    add("--first", type=int, default=1, metavar="N", help="the first of them")
    add("--go-on", action="store_true", help="run the others too when one has failed")
    lives = [life.__name__ for life in sweep.LIVES]
    add("--every-write", nargs="*", choices=lives, metavar="LIFE",
        help=f"strike at each write of these lives instead: {', '.join(lives)}")  # fmt: skip
    add("--step", type=int, default=1, metavar="N", help="with --every-write: at each N-th")
    add("--at", metavar="LIFE/VICTIM/HOW/WRITE", help="replay a strike and print its whole trace")
    flags = parser.parse_args(argv)
    # What is loaded stays; it need not be looked through after each run.
    gc.freeze()
    if flags.seed is not None:
        return _replay(simulate(flags.seed))
    if flags.at is not None:
        return _replay(play(sweep.named(flags.at)))
    return _search(_runs(flags), go_on=flags.go_on)


def _runs(flags: argparse.Namespace) -> Iterator[tuple[str, Outcome]]:
    if flags.every_write is None:
        for seed in range(flags.first, flags.first + flags.seeds):
            yield str(seed), simulate(seed)
        return
    chosen = [
        life for life in sweep.LIVES if not flags.every_write or life.__name__ in flags.every_write
    ]
    yield from sweep.swept(chosen, flags.step)


def _search(runs: Iterator[tuple[str, Outcome]], *, go_on: bool) -> int:
    clock, failed = SystemClock(), list[str]()
    began, writes, count = clock.monotonic(), 0, 0
    for name, outcome in runs:
        writes += outcome.writes
        count += 1
        if count % RUNS_BETWEEN_NEWS == 0:
            sys.stderr.write(f"{count} runs, failed: {' '.join(failed) or 'none'}\n")
        if outcome.broken:
            failed.append(name)
            _tell(name, outcome, LINES_SHOWN if not go_on else 0)
            if not go_on:
                return 1
    took, told = clock.monotonic() - began, " ".join(failed) or "none"
    sys.stdout.write(f"{count} runs, {writes:,} writes, {took:.0f} s; failed: {told}\n")
    return 1 if failed else 0


def _replay(outcome: Outcome) -> int:
    _tell("replayed", outcome, len(outcome.lines))
    sys.stdout.write(f"{outcome.digest}\n")
    return 1 if outcome.broken else 0


def _tell(name: str, outcome: Outcome, lines: int) -> None:
    for line in outcome.lines[-lines:] if lines else ():
        sys.stdout.write(f"{line[:240]}\n")
    sys.stdout.write(f"{name}: {outcome.broken or 'all is well'}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
