"""``/metrics``: what was asked and answered, under Kubernetes' names, as Prometheus text."""

from collections import Counter
from collections.abc import Iterator

from pilothouse.services.apiserver.requests import Target

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LONG_RUNNING = frozenset({"watch", "connect"})


class Counters:
    """Counts requests by verb, resource and code."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, Target | None, int]] = Counter()
        self.in_flight = 0
        self.long_running = 0

    def count(self, verb: str, target: Target | None, code: int) -> None:
        """One more answer; ``target`` without namespace and name, so that series stay few."""
        self._requests[(verb, target, code)] += 1

    def text(self) -> str:
        """The exposition."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield "# HELP apiserver_request_total Requests answered."
        yield "# TYPE apiserver_request_total counter"
        for (verb, target, code), number in sorted(self._requests.items(), key=str):
            asked = target or Target("", "", "")
            yield (
                f'apiserver_request_total{{code="{code}",component="apiserver",dry_run="",'
                f'group="{asked.group}",resource="{asked.plural}",'
                f'subresource="{asked.subresource}",verb="{verb.upper()}",'
                f'version="{asked.version}"}} {number}'
            )
        yield "# HELP apiserver_current_inflight_requests Requests being worked on."
        yield "# TYPE apiserver_current_inflight_requests gauge"
        yield f'apiserver_current_inflight_requests{{request_kind="all"}} {self.in_flight}'
        yield "# HELP apiserver_longrunning_requests Watches and streams that are open."
        yield "# TYPE apiserver_longrunning_requests gauge"
        yield f"apiserver_longrunning_requests {self.long_running}"
