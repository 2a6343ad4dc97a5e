"""From the texts of files below /proc to values. Pure."""

from pilothouse.services.kubelet.stats.values import Interface

KIBIBYTE = 1024
_DEFAULT_ROUTE = "00000000"
_COLUMNS = 16


def interfaces(net_dev: str) -> tuple[Interface, ...]:
    """``/proc/PID/net/dev``, without loopback."""
    found = []
    for line in net_dev.splitlines():
        name, colon, rest = line.partition(":")
        numbers = rest.split()
        if not colon or name.strip() == "lo" or len(numbers) < _COLUMNS:
            continue
        counters = [int(item) for item in numbers]
        found.append(
            Interface(
                name=name.strip(),
                rx_bytes=counters[0],
                rx_packets=counters[1],
                rx_errors=counters[2],
                rx_dropped=counters[3],
                tx_bytes=counters[8],
                tx_packets=counters[9],
                tx_errors=counters[10],
                tx_dropped=counters[11],
            )
        )
    return tuple(found)


def default_interface(route: str) -> str:
    """``/proc/PID/net/route``: where packets go that go nowhere else; empty when nowhere."""
    for line in route.splitlines()[1:]:
        words = line.split()
        if len(words) > 1 and words[1] == _DEFAULT_ROUTE:
            return words[0]
    return ""


def amounts(meminfo: str) -> dict[str, int]:
    """``/proc/meminfo`` in bytes."""
    found = {}
    for line in meminfo.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            found[name] = int(words[0]) * (KIBIBYTE if words[1:] == ["kB"] else 1)
    return found


def boot_time(stat: str) -> float:
    """``/proc/stat``: when the machine was started, in seconds since the epoch."""
    for line in stat.splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0


def processes(loadavg: str) -> int:
    """``/proc/loadavg``: processes and threads that there are."""
    words = loadavg.split()
    return int(words[3].partition("/")[2]) if len(words) > 3 else 0  # noqa: PLR2004 - the fourth: running/all
