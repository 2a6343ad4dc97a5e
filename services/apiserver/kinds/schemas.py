"""The published v1.37 schemas, read from the installed package kubernetes-validate.

They carry what a server needs to know of every type: properties, formats, required fields, patch
merge keys, list types, and the descriptions that ``kubectl explain`` prints. The text is not ours
and is not in this repository. Definitions are decoded one by one, when first asked for.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from mmap import ACCESS_READ, MADV_DONTNEED, mmap
from pathlib import Path
from typing import Any

import msgspec

_FILE = ("kubernetes-json-schema", "v1.37.0-local", "_definitions.json")
_REFERENCE = "#/$defs/"


class _Published(msgspec.Struct, rename={"definitions": "$defs"}):
    definitions: dict[str, msgspec.Raw]


class Schemas:
    """Definitions by name (``io.k8s.api.core.v1.Pod``), as the published JSON schema has them."""

    def __init__(self, text: bytes | mmap) -> None:
        self._text = text
        self._raw = msgspec.json.decode(text, type=_Published).definitions
        self._let_go()
        self._decoded: dict[str, dict[str, Any]] = {}
        self._added: dict[str, dict[str, Any]] = {}

    def definition(self, name: str) -> dict[str, Any]:
        """The schema; KeyError when there is none of that name. Not to be changed."""
        found = self._decoded.get(name) or self._added.get(name)
        if found is None:
            found = self._decoded[name] = self.copy(name)
            self._let_go()
        return found

    def add(self, name: str, schema: dict[str, Any]) -> None:
        """Have a definition that is not published: a custom resource's ``openAPIV3Schema``.

        It says nothing of ``apiVersion``, ``kind`` and ``metadata``, which every object has.
        """
        self._added[name] = schema

    def remove(self, name: str) -> None:
        """Have an added definition no longer."""
        self._added.pop(name, None)

    def copy(self, name: str) -> dict[str, Any]:
        """The schema, not kept decoded: for whoever needs very many, once. Not to be changed."""
        added = self._added.get(name)
        return added if added is not None else msgspec.json.decode(self._raw[name])

    def __contains__(self, name: object) -> bool:
        return name in self._raw or name in self._added

    def names(self) -> Iterator[str]:
        """Every published definition's name."""
        return iter(self._raw)

    def _let_go(self) -> None:
        """Keep nothing of a file in memory: what is asked for next comes back from it."""
        if isinstance(self._text, mmap):
            self._text.madvise(MADV_DONTNEED)


def reference(schema: dict[str, Any]) -> str:
    """The definition that a ``$ref`` names; empty when it is none."""
    text: str = schema.get("$ref", "")
    return text.removeprefix(_REFERENCE)


def published_schemas() -> Schemas:
    """The schemas of Kubernetes 1.37; about 10 ms.

    The package is found and not imported: its own imports take longer than all of ours.
    """
    spec = find_spec("kubernetes_validate")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package kubernetes-validate is not installed")
    with Path(spec.submodule_search_locations[0]).joinpath(*_FILE).open("rb") as file:
        return Schemas(mmap(file.fileno(), 0, access=ACCESS_READ))
