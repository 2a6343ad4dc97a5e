"""Newer containerds than the machine's, from Debian's next suites, without installing them.

``python -m pilothouse.ops.newer_containerds`` prints one folder of binaries a line. apt fetches and
checks them, from the machine's own mirror, with lists and a cache of its own below ``.cache``.
"""

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
CACHE = CHECKOUT / ".cache" / "containerds"
SUITES = ("trixie", "forky")
MIRROR = "http://deb.debian.org/debian"
PACKAGE = "containerd"


def fetch(suite: str, cache: Path) -> Path:
    """The folder of the suite's newest containerd; RuntimeError says why there is none."""
    lists = cache / suite / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    sources = cache / suite / "sources.list"
    sources.write_text(f"deb {_mirror()} {suite} main\n")
    options = {
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Dir::Cache": str(cache / suite / "cache"),
        "Dir::Etc::SourceList": str(sources),
        "Dir::Etc::SourceParts": "-",
        "Dir::State::Lists": str(lists),
    }
    flags = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    _run(suite, ["apt-get", "update", "-q", *flags], cache)
    for old in (cache / suite).glob(f"{PACKAGE}_*.deb"):
        old.unlink()
    _run(suite, ["apt-get", "download", "-q", *flags, PACKAGE], cache / suite)
    (package,) = (cache / suite).glob(f"{PACKAGE}_*.deb")
    root = cache / suite / package.stem
    if not root.exists():
        fresh = root.with_name(f"{root.name}.new")
        _run(suite, ["dpkg-deb", "-x", str(package), str(fresh)], cache)
        fresh.rename(root)
    return root / "usr" / "bin"


def _mirror() -> str:
    """The machine's own, when it names one that has whole suites."""
    answer = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line.rstrip("/") for line in answer.stdout.splitlines()]
    return next((uri for uri in found if uri.endswith("/debian")), MIRROR)


def _run(suite: str, command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        why = done.stderr.strip() or done.stdout.strip()
        raise RuntimeError(f"no containerd of Debian's {suite}: {' '.join(command[:2])}: {why}")


def main() -> int:
    """Print the folders; the exit code."""
    failed = 0
    for suite in SUITES:
        try:
            sys.stdout.write(f"{fetch(suite, CACHE)}\n")
        except RuntimeError as error:
            sys.stderr.write(f"{error}\n")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
