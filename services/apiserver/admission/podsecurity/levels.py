"""What a namespace's labels ask of its pods."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from typing_extensions import override

from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

PREFIX = "pod-security.kubernetes.io/"
LEVELS = ("privileged", "baseline", "restricted")
LATEST = 10_000
"""Stands for ``latest`` among minor versions."""

_VERSION = re.compile(r"v1\.([0-9]|[1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class Level:
    """A standard as of a minor version."""

    name: str = "privileged"
    minor: int = LATEST

    @property
    def strictness(self) -> int:
        return LEVELS.index(self.name)

    @override
    def __str__(self) -> str:
        version = "latest" if self.minor == LATEST else f"v1.{self.minor}"
        return f"{self.name}:{version}"


@dataclass(frozen=True, slots=True)
class Policy:
    """The three modes; ``causes`` are labels that say nothing known."""

    enforce: Level = Level()
    audit: Level = Level()
    warn: Level = Level()
    causes: tuple[Cause, ...] = ()


def policy_of(labels: Mapping[str, str]) -> Policy:
    """The policy; what can not be read is enforced as restricted and neither audited nor warned."""
    causes: list[Cause] = []
    found: dict[str, Level] = {}
    for mode in ("enforce", "audit", "warn"):
        key = PREFIX + mode
        given = labels.get(key)
        name = given if given is not None else "privileged"
        if name not in LEVELS:
            causes.append(_invalid(key, name, f"must be one of {', '.join(LEVELS)}"))
            name = "restricted" if mode == "enforce" else "privileged"
        found[mode] = Level(name, _minor(labels, f"{key}-version", causes))
    warn, enforce = found["warn"], found["enforce"]
    told = labels.get(f"{PREFIX}enforce") in LEVELS
    if f"{PREFIX}warn" not in labels and told and enforce.strictness > warn.strictness:
        minor = warn.minor if f"{PREFIX}warn-version" in labels else enforce.minor
        found["warn"] = Level(enforce.name, minor)
    return Policy(enforce, found["audit"], found["warn"], tuple(causes))


def _minor(labels: Mapping[str, str], key: str, causes: list[Cause]) -> int:
    text = labels.get(key, "latest")
    if text == "latest":
        return LATEST
    match = _VERSION.fullmatch(text)
    if match is None:
        causes.append(_invalid(key, text, 'must be "latest" or "v1.x"'))
        return LATEST
    return int(match[1])


def _invalid(key: str, value: str, detail: str) -> Cause:
    return names.invalid(f"metadata.labels[{key}]", value, detail)
