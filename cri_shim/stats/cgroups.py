"""Cgroup files, of either version, to values. ``Read`` gives a file's text, None without it."""

from collections.abc import Callable
from dataclasses import dataclass

Read = Callable[[str], str | None]

UNLIMITED = 1 << 60
"""v1 says a number near 2^63 where there is no limit."""
MICROSECOND = 1000


@dataclass(frozen=True, slots=True)
class Pressure:
    """One line of a pressure file: averages in percent, the total in microseconds."""

    total: int = 0
    avg10: float = 0.0
    avg60: float = 0.0
    avg300: float = 0.0


@dataclass(frozen=True, slots=True)
class Pressures:
    """How long all, or some, waited."""

    full: Pressure = Pressure()
    some: Pressure = Pressure()


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes and counts; ``limit`` 0 is none."""

    usage: int = 0
    working_set: int = 0
    rss: int = 0
    cache: int = 0
    page_faults: int = 0
    major_page_faults: int = 0
    limit: int = 0
    swap: int = 0
    swap_limit: int = 0

    @property
    def available(self) -> int | None:
        """Up to the limit; None without one."""
        return max(0, self.limit - self.working_set) if self.limit else None


@dataclass(frozen=True, slots=True)
class Usage:
    """One cgroup's; None where its files are not there."""

    cpu_nanoseconds: int | None = None
    memory: Memory | None = None
    processes: int | None = None
    cpu_pressure: Pressures | None = None
    memory_pressure: Pressures | None = None
    io_pressure: Pressures | None = None


def path_of(said: str) -> str:
    """Below a hierarchy's root: a path as it is, systemd's ``slice:prefix:name`` spelt out."""
    if said.count(":") != 2:  # noqa: PLR2004 - three parts
        return slice_path(said) if said.endswith(".slice") else "/" + said.strip("/")
    above, prefix, name = said.split(":")
    unit = name if name.endswith(".slice") else f"{prefix}-{name}.scope"
    return f"{slice_path(above or 'system.slice')}/{unit}"


def slice_path(said: str) -> str:
    """``a-b.slice`` lies in ``a.slice``; of a path the last part counts."""
    name = said.strip("/").rpartition("/")[2].removesuffix(".slice")
    if name in {"", "-"}:
        return ""
    parts = name.split("-")
    return "".join(f"/{'-'.join(parts[: i + 1])}.slice" for i in range(len(parts)))


def usage_v1(path: str, read: Read) -> Usage:
    """Files as ``<controller><path>/<file>``."""
    cpu = _number(read(f"cpuacct{path}/cpuacct.usage"))
    held = _number(read(f"memory{path}/memory.usage_in_bytes"))
    memory = None
    if held is not None:
        stat = _pairs(read(f"memory{path}/memory.stat"))
        both = _number(read(f"memory{path}/memory.memsw.usage_in_bytes"))
        both_max = stat.get("hierarchical_memsw_limit", 0)
        limit = _limit(stat.get("hierarchical_memory_limit"))
        memory = Memory(
            usage=held,
            working_set=max(0, held - stat.get("total_inactive_file", 0)),
            rss=stat.get("total_rss", 0),
            cache=stat.get("total_cache", 0),
            page_faults=stat.get("total_pgfault", 0),
            major_page_faults=stat.get("total_pgmajfault", 0),
            limit=limit,
            swap=max(0, both - held) if both is not None else 0,
            swap_limit=max(0, _limit(both_max) - limit) if _limit(both_max) else 0,
        )
    return Usage(cpu, memory, _number(read(f"pids{path}/pids.current")))


def usage_v2(path: str, read: Read) -> Usage:
    """Files as ``<path>/<file>``."""
    below = path.lstrip("/")
    microseconds = _pairs(read(f"{below}/cpu.stat")).get("usage_usec")
    held = _number(read(f"{below}/memory.current"))
    memory = None
    if held is not None:
        stat = _pairs(read(f"{below}/memory.stat"))
        memory = Memory(
            usage=held,
            working_set=max(0, held - stat.get("inactive_file", 0)),
            rss=stat.get("anon", 0),
            cache=stat.get("file", 0),
            page_faults=stat.get("pgfault", 0),
            major_page_faults=stat.get("pgmajfault", 0),
            limit=_limit(_number(read(f"{below}/memory.max"))),
            swap=_number(read(f"{below}/memory.swap.current")) or 0,
            swap_limit=_limit(_number(read(f"{below}/memory.swap.max"))),
        )
    return Usage(
        None if microseconds is None else microseconds * MICROSECOND,
        memory,
        _number(read(f"{below}/pids.current")),
        pressures(read(f"{below}/cpu.pressure")),
        pressures(read(f"{below}/memory.pressure")),
        pressures(read(f"{below}/io.pressure")),
    )


def pressures(text: str | None) -> Pressures | None:
    """Lines ``some avg10=0.00 avg60=0.00 avg300=0.00 total=0``."""
    found: dict[str, Pressure] = {}
    for line in (text or "").splitlines():
        kind, *fields = line.split()
        values = dict(field.partition("=")[::2] for field in fields)
        try:
            found[kind] = Pressure(
                int(values["total"]),
                float(values["avg10"]),
                float(values["avg60"]),
                float(values["avg300"]),
            )
        except (KeyError, ValueError):
            continue
    if not found:
        return None
    return Pressures(found.get("full", Pressure()), found.get("some", Pressure()))


def _number(text: str | None) -> int | None:
    word = (text or "").strip()
    return int(word) if word.isdecimal() else None


def _pairs(text: str | None) -> dict[str, int]:
    found = {}
    for line in (text or "").splitlines():
        name, _, value = line.partition(" ")
        if value.strip().isdecimal():
            found[name] = int(value)
    return found


def _limit(number: int | None) -> int:
    return 0 if number is None or number >= UNLIMITED else number
