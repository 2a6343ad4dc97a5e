"""``/healthz``, ``/livez`` and ``/readyz``: named checks, in Kubernetes' text form."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from aiohttp import web

# A check returns what is wrong, or empty text.
Check: TypeAlias = Callable[[], Awaitable[str]]

TEXT = "text/plain; charset=utf-8"
ENDPOINTS = ("healthz", "livez", "readyz")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One check's name and what is wrong with it."""

    name: str
    fault: str


class Health:
    """The checks behind each of the three paths."""

    def __init__(self, checks: Mapping[str, Mapping[str, Check]]) -> None:
        self._checks = checks

    async def reply(
        self, segments: Sequence[str], query: Mapping[str, str], excluded: Sequence[str]
    ) -> web.Response | None:
        """The answer of ``/livez`` and its like, or of one check below; None for no such check."""
        checks = self._checks[segments[0]]
        if len(segments) > 1:
            name = "/".join(segments[1:])
            if name not in checks:
                return None
            fault = await checks[name]()
            return _reply(
                f"internal server error: {fault}\n" if fault else "ok", failed=bool(fault)
            )
        outcomes = [
            Outcome(name, await check()) for name, check in checks.items() if name not in excluded
        ]
        unknown = [name for name in excluded if name not in checks]
        return report(segments[0], outcomes, excluded, unknown, verbose="verbose" in query)


def report(
    endpoint: str,
    outcomes: Sequence[Outcome],
    excluded: Sequence[str],
    unknown: Sequence[str],
    *,
    verbose: bool,
) -> web.Response:
    """All outcomes as text; just ``ok`` where all is well and nobody asked for more."""
    failed = any(outcome.fault for outcome in outcomes)
    if not failed and not verbose:
        return _reply("ok", failed=False)
    lines = [
        f"[-]{outcome.name} failed: reason withheld" if outcome.fault else f"[+]{outcome.name} ok"
        for outcome in outcomes
    ]
    lines += [f"[+]{name} excluded: ok" for name in excluded if name not in unknown]
    if unknown:
        listed = ",".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {listed}")
    lines.append(f"{endpoint} check {'failed' if failed else 'passed'}")
    return _reply("\n".join(lines) + "\n", failed=failed)


def _reply(text: str, *, failed: bool) -> web.Response:
    headers = {"Content-Type": TEXT, "X-Content-Type-Options": "nosniff"}
    return web.Response(body=text.encode(), status=500 if failed else 200, headers=headers)
