"""``/healthz``, ``/livez`` and ``/readyz``: named checks, in Kubernetes' text form."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pilothouse.services.runtime import web
from pilothouse.services.runtime.exposition import Family

# A check returns what is wrong, or empty text.
Check: TypeAlias = Callable[[], Awaitable[str]]

TEXT = "text/plain; charset=utf-8"
ENDPOINTS = ("healthz", "livez", "readyz")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One check's name and what is wrong with it."""

    name: str
    fault: str
    excluded: bool = False


class Health:
    """The checks behind each of the three paths, and how they went so far."""

    def __init__(self, checks: Mapping[str, Mapping[str, Check]]) -> None:
        self._checks = checks
        self._last: dict[tuple[str, str], bool] = {}
        self._counts: Counter[tuple[str, str, str]] = Counter()

    async def reply(
        self, segments: Sequence[str], query: Mapping[str, str], excluded: Sequence[str]
    ) -> web.Response | None:
        """The answer of ``/livez`` and its like, or of one check below; None for no such check."""
        endpoint, checks = segments[0], self._checks[segments[0]]
        if len(segments) > 1:
            name = "/".join(segments[1:])
            if name not in checks:
                return None
            fault = await checks[name]()
            return _reply(
                f"internal server error: {fault}\n" if fault else "ok", failed=bool(fault)
            )
        outcomes: list[Outcome] = []
        for name, check in checks.items():
            if name in excluded:
                outcomes.append(Outcome(name, "", excluded=True))
                continue
            fault = await check()
            outcomes.append(Outcome(name, fault))
            self._last[(name, endpoint)] = not fault
            self._counts[(name, "error" if fault else "success", endpoint)] += 1
        unknown = sorted({name for name in excluded if name not in checks})
        return report(endpoint, outcomes, unknown, verbose="verbose" in query)

    def families(self) -> Iterator[Family]:
        """What ``/metrics/slis`` shows."""
        last = Family("kubernetes_healthcheck", "gauge", "How a check went last: 1 is well.")
        for (name, endpoint), well in self._last.items():
            last.add(well, ("name", name), ("type", endpoint))
        yield last
        counts = Family("kubernetes_healthchecks_total", "counter", "How often checks went so.")
        for (name, status, endpoint), count in self._counts.items():
            counts.add(count, ("name", name), ("status", status), ("type", endpoint))
        yield counts


def report(
    endpoint: str, outcomes: Sequence[Outcome], unknown: Sequence[str], *, verbose: bool
) -> web.Response:
    """All outcomes as text; just ``ok`` where all is well and nobody asked for more."""
    failed = any(outcome.fault for outcome in outcomes)
    if not failed and not verbose:
        return _reply("ok", failed=False)
    lines = [_line(outcome) for outcome in outcomes]
    if unknown:
        listed = ",".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {listed}")
    lines.append(f"{endpoint} check {'failed' if failed else 'passed'}")
    return _reply("\n".join(lines) + "\n", failed=failed)


def _line(outcome: Outcome) -> str:
    if outcome.excluded:
        return f"[+]{outcome.name} excluded: ok"
    return (
        f"[-]{outcome.name} failed: reason withheld" if outcome.fault else f"[+]{outcome.name} ok"
    )


def _reply(text: str, *, failed: bool) -> web.Response:
    headers = {"Content-Type": TEXT, "X-Content-Type-Options": "nosniff"}
    return web.Response(body=text.encode(), status=500 if failed else 200, headers=headers)
