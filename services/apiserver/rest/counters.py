"""What was asked and answered, counted while requests pass."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

from pilothouse.services.apiserver.rest.paths import Asked
from pilothouse.services.runtime.exposition import Family, Labels, labels_of

DURATION_BOUNDS = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0,
    10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
)  # fmt: skip
SIZE_BOUNDS = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
READING = frozenset({"get", "list", "watch"})
# Series are few in a healthy cluster; no client may make them many.
SERIES_MAX = 4096

_VERBS = {
    "get": "GET",
    "list": "LIST",
    "watch": "WATCH",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "apply": "APPLY",
    "delete": "DELETE",
    "deletecollection": "DELETECOLLECTION",
    "connect": "CONNECT",
}
# Verb, group, version, resource, subresource, scope, dry run.
Key = tuple[str, str, str, str, str, str, str]
_ELSEWHERE: Key = ("other", "", "", "", "", "", "")
_NAMES = ("verb", "group", "version", "resource", "subresource", "scope", "dry_run")
_KNOWN_USERS = frozenset({"admin", "client", "kube_proxy", "kubelet"})
_OWN = ("component", "apiserver")


class Series:
    """All requests of one kind."""

    __slots__ = ("codes", "durations", "seconds", "sent", "sizes")

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        self.durations = [0] * (len(DURATION_BOUNDS) + 1)
        self.seconds = 0.0
        self.sizes = [0] * (len(SIZE_BOUNDS) + 1)
        self.sent = 0.0


class Counters:
    """Counts requests by what they ask; ``in_flight`` are those running, by request kind."""

    def __init__(self) -> None:
        self._series: dict[Key, Series] = {}
        self._long_running: Counter[Key] = Counter()
        self._deprecated: dict[tuple[str, str, str, str], str] = {}
        self.in_flight = {"readOnly": 0, "mutating": 0}
        self._peaks = {"readOnly": 0, "mutating": 0}
        self._terminated: Counter[tuple[Key, int]] = Counter()
        self._aborted: Counter[Key] = Counter()
        self._users: Counter[str] = Counter()
        self._unbelieved = 0

    def enter(self, kind: str) -> None:
        """A short request, ``readOnly`` or ``mutating``, begins."""
        self.in_flight[kind] = now = self.in_flight[kind] + 1
        self._peaks[kind] = max(self._peaks[kind], now)

    def leave(self, kind: str) -> None:
        """It ended."""
        self.in_flight[kind] -= 1

    def count(self, key: Key, code: int, seconds: float, size: int) -> None:
        """One more answer; ``size`` is that of its body in bytes, where it is known."""
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= SERIES_MAX:
                key = _ELSEWHERE
            series = self._series.setdefault(key, Series())
        series.codes[code] = series.codes.get(code, 0) + 1
        series.durations[bisect_left(DURATION_BOUNDS, seconds)] += 1
        series.seconds += seconds
        if size and key[0] in ("GET", "LIST"):
            series.sizes[bisect_left(SIZE_BOUNDS, size)] += 1
            series.sent += size

    def open(self, key: Key) -> None:
        """A watch or a stream begins."""
        self._long_running[key] += 1

    def close(self, key: Key) -> None:
        """It ended."""
        self._long_running[key] -= 1

    def terminate(self, key: Key, code: int) -> None:
        """A request was sent away, or cut short, to keep the server well."""
        self._terminated[key, code] += 1

    def abort(self, key: Key) -> None:
        """A client went before it was answered."""
        self._aborted[key] += 1

    def authenticated(self, user: str) -> None:
        """Somebody said who he is."""
        if user in _KNOWN_USERS:
            self._users[user] += 1
        else:
            self._users["email_id" if "@" in user else "other"] += 1

    def unauthenticated(self) -> None:
        """Somebody said who he is, and was not believed."""
        self._unbelieved += 1

    def deprecated(self, group: str, version: str, resource: str, removed: str) -> None:
        """Somebody used what is to go in release ``removed``."""
        self._deprecated[(group, version, resource, "")] = removed

    def families(self) -> Iterator[Family]:
        """All metrics; the peaks of requests in flight begin anew."""
        yield self._requests()
        yield self._durations()
        yield self._indicators()
        yield from self._ends()
        yield from self._identified()
        yield self._sizes()
        running = Family(
            "apiserver_longrunning_requests", "gauge", "Watches and streams that are open."
        )
        for key, open_ in self._long_running.items():
            running.add(open_, *_told(key, dry_run=False))
        yield running
        current = Family(
            "apiserver_current_inflight_requests", "gauge",
            "The most requests at a time since this was last asked, by request kind.",
        )  # fmt: skip
        for kind, peak in self._peaks.items():
            current.add(peak, ("request_kind", kind))
        self._peaks = dict(self.in_flight)
        yield current
        old = Family(
            "apiserver_requested_deprecated_apis", "gauge",
            "Deprecated APIs that were asked for, and the release that removes them.",
        )  # fmt: skip
        for (group, version, resource, subresource), removed in self._deprecated.items():
            named = {"group": group, "version": version, "resource": resource}
            named |= {"subresource": subresource, "removed_release": removed}
            old.add(1, *labels_of(named))
        yield old

    def _requests(self) -> Family:
        family = Family("apiserver_request_total", "counter", "Requests answered.")
        for key, series in self._series.items():
            for code, total in series.codes.items():
                family.add(total, ("code", str(code)), *_told(key))
        return family

    def _durations(self) -> Family:
        family = Family(
            "apiserver_request_duration_seconds", "histogram", "How long answers took, in seconds."
        )
        for key, series in self._series.items():
            family.observe(DURATION_BOUNDS, series.durations, series.seconds, _told(key))
        return family

    def _indicators(self) -> Family:
        """The same durations once more, for objectives: of dry runs too, and none of watches."""
        family = Family(
            "apiserver_request_sli_duration_seconds", "histogram",
            "How long answers took, in seconds, without what others took of it.",
        )  # fmt: skip
        summed: dict[Key, tuple[list[int], float]] = {}
        for key, series in self._series.items():
            if key[0] == "WATCH":
                continue
            one: Key = (*key[:-1], "")
            counts, seconds = summed.get(one, ([0] * len(series.durations), 0.0))
            both = [a + b for a, b in zip(counts, series.durations, strict=True)]
            summed[one] = both, seconds + series.seconds
        for key, (counts, seconds) in summed.items():
            # Its first bound is the third of the others.
            merged = [sum(counts[:3]), *counts[3:]]
            family.observe(DURATION_BOUNDS[2:], merged, seconds, _told(key, dry_run=False))
        return family

    def _ends(self) -> Iterator[Family]:
        terminated = Family(
            "apiserver_request_terminations_total", "counter",
            "Requests that were sent away or cut short to keep the server well.",
        )  # fmt: skip
        for (key, code), total in self._terminated.items():
            terminated.add(total, ("code", str(code)), *_told(key, dry_run=False))
        yield terminated
        aborted = Family(
            "apiserver_request_aborts_total", "counter",
            "Requests whose clients went before they were answered.",
        )  # fmt: skip
        for one, total in self._aborted.items():
            told = tuple(label for label in _told(one, dry_run=False) if label != _OWN)
            aborted.add(total, *told)
        yield aborted

    def _identified(self) -> Iterator[Family]:
        attempts = Family("authentication_attempts", "counter", "Users that were asked who.")
        if self._users:
            attempts.add(sum(self._users.values()), ("result", "success"))
        if self._unbelieved:
            attempts.add(self._unbelieved, ("result", "error"))
        yield attempts
        users = Family(
            "authenticated_user_requests", "counter", "Requests of users, by who they are."
        )
        for user, total in self._users.items():
            users.add(total, ("username", user))
        yield users

    def _sizes(self) -> Family:
        family = Family(
            "apiserver_response_sizes", "histogram", "How large answers were, in bytes."
        )
        for key, series in self._series.items():
            if any(series.sizes):
                told = _told(key, dry_run=False)
                family.observe(SIZE_BOUNDS, series.sizes, series.sent, told)
        return family


def key_of(asked: Asked, *, dry_run: bool, applies: bool) -> Key:
    """What a request on a resource is counted as."""
    target = asked.target
    verb = "apply" if applies else asked.verb
    if target.name or verb == "create":
        scope = "resource"
    else:
        scope = "namespace" if target.namespace else "cluster"
    return (
        _VERBS.get(verb, "other"),
        target.group,
        target.version,
        target.plural,
        target.subresource,
        scope,
        "All" if dry_run else "",
    )


def path_key(method: str, endpoint: str) -> Key:
    """What a request on a path is counted as; ``endpoint`` is one of ours, or empty."""
    verb = method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE") else "other"
    return ("GET" if verb == "HEAD" else verb, "", "", "", endpoint, "", "")


def _told(key: Key, *, dry_run: bool = True) -> Labels:
    named = [(name, value) for name, value in zip(_NAMES, key, strict=True)]
    if not dry_run:
        named.pop()
    return tuple(sorted((*named, _OWN)))
