"""``/healthz`` of the kubelet, behind the door and on the local port that has none."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping

from aiohttp import web

from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.exposition import TEXT as EXPOSED
from pilothouse.services.runtime.exposition import Family, render

TEXT = "text/plain; charset=utf-8"

Check = Callable[[], str]
"""What is wrong; empty when nothing is."""


class Health:
    """Named checks, in Kubernetes' text form."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._last: dict[str, bool] = {}
        self._counts: Counter[tuple[str, bool]] = Counter()

    def application(self) -> web.Application:
        """Nothing else."""
        made = web.Application()
        self.add(made.router)
        return made

    def add(self, router: web.UrlDispatcher) -> None:
        """Its routes."""
        router.add_get("/healthz", self._all)
        router.add_get("/healthz/{name}", self._one)
        router.add_get("/metrics/slis", self._indicators)

    async def _all(self, request: web.Request) -> web.Response:
        faults = {name: check() for name, check in self._checks.items()}
        for name, fault in faults.items():
            self._last[name] = not fault
            self._counts[name, not fault] += 1
        failed = any(faults.values())
        if not failed and "verbose" not in request.query:
            return _reply("ok", failed=False)
        lines = [
            f"[-]{name} failed: reason withheld" if fault else f"[+]{name} ok"
            for name, fault in faults.items()
        ]
        lines.append(f"healthz check {'failed' if failed else 'passed'}")
        return _reply("\n".join(lines) + "\n", failed=failed)

    async def _indicators(self, request: web.Request) -> web.Response:
        last = Family("kubernetes_healthcheck", "gauge", "How a check went last: 1 is well.")
        for name, is_well in self._last.items():
            last.add(is_well, ("name", name), ("type", "healthz"))
        counts = Family("kubernetes_healthchecks_total", "counter", "How often checks went so.")
        for (name, is_well), count in self._counts.items():
            status = "success" if is_well else "error"
            counts.add(count, ("name", name), ("status", status), ("type", "healthz"))
        return web.Response(body=render([last, counts]), headers={"Content-Type": EXPOSED})

    async def _one(self, request: web.Request) -> web.Response:
        check = self._checks.get(request.match_info["name"])
        if check is None:
            return web.Response(status=404, text="404 page not found\n")
        fault = check()
        return _reply(f"internal server error: {fault}\n" if fault else "ok", failed=bool(fault))


def _reply(text: str, *, failed: bool) -> web.Response:
    headers = {"Content-Type": TEXT, "X-Content-Type-Options": "nosniff"}
    return web.Response(body=text.encode(), status=500 if failed else 200, headers=headers)


@contextlib.asynccontextmanager
async def serve(address: str, port: int, made: web.Application) -> AsyncIterator[None]:
    """Plain HTTP until the block ends; port 0: not at all. A port that is taken is let go."""
    if not port:
        yield
        return
    runner = web.AppRunner(made, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port, reuse_address=True).start()
    except OSError as error:
        telemetry.logger(part="rest").error("not listening", port=port, error=str(error))
    try:
        yield
    finally:
        await runner.cleanup()


def sync_check(silence_seconds: Callable[[], float], most: float) -> Check:
    """Whether the loop over all pods still goes round."""

    def check() -> str:
        return "sync Loop took longer than expected" if silence_seconds() > most else ""

    return check


def healthy() -> str:
    """Whoever answers is there."""
    return ""
