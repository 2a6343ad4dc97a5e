"""``pilothouse simulate-faults``: run seeds, print the trace of one that fails."""

import argparse
import sys

from pilothouse.ops.simulation.run import Outcome, simulate
from pilothouse.services.runtime.clock import SystemClock

LINES_SHOWN = 80
SEEDS_BETWEEN_NEWS = 50


def main(argv: list[str]) -> int:
    """1 when a seed fails; it and the end of its trace are printed."""
    parser = argparse.ArgumentParser(prog="pilothouse simulate-faults", description=__doc__)
    add = parser.add_argument
    add("--seed", type=int, help="run this one and print its whole trace")
    add("--seeds", type=int, default=20, metavar="N", help="how many")
    add("--first", type=int, default=1, metavar="N", help="the first of them")
    add("--go-on", action="store_true", help="run the others too when one has failed")
    flags = parser.parse_args(argv)
    if flags.seed is not None:
        return _replay(flags.seed)
    clock, failed = SystemClock(), list[int]()
    began, writes = clock.monotonic(), 0
    for seed in range(flags.first, flags.first + flags.seeds):
        outcome = simulate(seed)
        writes += outcome.writes
        done = seed - flags.first + 1
        if done % SEEDS_BETWEEN_NEWS == 0:
            sys.stderr.write(f"{done} of {flags.seeds} seeds, failed: {failed}\n")
        if outcome.broken:
            failed.append(seed)
            _tell(outcome, LINES_SHOWN if not flags.go_on else 0)
            if not flags.go_on:
                return 1
    took = clock.monotonic() - began
    sys.stdout.write(f"{flags.seeds} seeds, {writes:,} writes, {took:.0f} s; failed: {failed}\n")
    return 1 if failed else 0


def _replay(seed: int) -> int:
    outcome = simulate(seed)
    _tell(outcome, len(outcome.lines))
    sys.stdout.write(f"{outcome.digest}\n")
    return 1 if outcome.broken else 0


def _tell(outcome: Outcome, lines: int) -> None:
    for line in outcome.lines[-lines:] if lines else ():
        sys.stdout.write(f"{line[:240]}\n")
    sys.stdout.write(f"seed {outcome.seed}: {outcome.broken or 'all is well'}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
