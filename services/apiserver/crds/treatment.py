"""What one version's schema does to a custom object, compiled when the first one comes."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from pilothouse.services.apiserver.crds.defaulting import compile_default, compile_null_removal
from pilothouse.services.apiserver.crds.embedded import OBJECT_META, compile_embedded
from pilothouse.services.apiserver.crds.expressions import Node, OutOfBudget, Run, compile_rules
from pilothouse.services.apiserver.crds.lists import compile_lists
from pilothouse.services.apiserver.crds.pruning import META, Schema, compile_prune
from pilothouse.services.apiserver.crds.values import ABSENT, compile_check
from pilothouse.services.apiserver.kinds.custom import ScalePaths
from pilothouse.services.apiserver.kinds.replicas import check_spec, check_status
from pilothouse.services.machinery.errors import BadRequest, Cause
from pilothouse.services.machinery.schema.report import Report, Unreadable
from pilothouse.services.machinery.schema.walker import Walkers

Document = dict[str, Any]

_BLOCKING = frozenset(
    {
        "FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany",
        "FieldValueTypeInvalid",
    }
)  # fmt: skip
_NOT_CHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing "
    "errors to complete validation"
)


@dataclass(frozen=True)
class SchemaTreatment:
    """``schema`` is ``openAPIV3Schema``; with ``preserves`` nothing is pruned (an old definition).

    ``same_as_stored``: the storage version has the same schema.

    A :class:`~pilothouse.services.apiserver.kinds.custom.Treatment`.
    """

    schema: Schema
    walkers: Walkers
    scale: ScalePaths | None = None
    preserves: bool = False
    same_as_stored: bool = False

    def settle(self, document: Document) -> list[str]:
        """Default and prune in place; the fields that were dropped."""
        report = Report()
        metadata = document.get("metadata")
        if metadata is not None:
            try:
                self._metadata(metadata, (None, "metadata"), report, "ObjectMeta")
            except Unreadable as error:
                raise BadRequest(str(error)) from None
        dropped = report.unknown
        if self._default is not None:
            self._default(document)
        if not self.preserves:
            if self._prune is not None:
                self._prune(document, None, dropped)
            if self._remove_nulls is not None:
                self._remove_nulls(document)
        if self._embedded is not None:
            dropped += self._embedded.coerce(document)
        return sorted(dropped) if len(dropped) > 1 else dropped

    def fit(self, document: Document) -> bool:
        """The same for what was stored, perhaps under another schema; whether it was changed."""
        changed = self._default is not None and self._default(document)
        if self.preserves:
            return changed
        if self._prune is not None and self._prune(document, None, []):
            changed = True
        return (self._remove_nulls is not None and self._remove_nulls(document)) or changed

    def trim(self, document: Document) -> bool:
        """Prune what was stored under another version's schema; whether it was changed."""
        return (
            not self.preserves and self._prune is not None and bool(self._prune(document, None, []))
        )

    def shown(self, json: bytes, api_version: str) -> bytes:
        """The bytes of another version: mostly only their head differs."""
        head = b'{"apiVersion":"%b"' % api_version.encode()
        if not self.same_as_stored:
            document = msgspec.json.decode(json)
            if self.trim(document):
                return msgspec.json.encode({**document, "apiVersion": api_version})
        return head + json[json.index(b',"kind":') :]

    def check(self, document: Document) -> list[Cause]:
        """What is wrong with a new object."""
        causes: list[Cause] = []
        self._check(document, ABSENT, None, causes)
        self._check_rest(document, causes)
        if self._lists is not None:
            self._lists(document, None, causes)
        self._run_rules(document, ABSENT, causes)
        return causes

    def check_update(self, document: Document, old: Document) -> list[Cause]:
        """What is wrong with a changed object; what was wrong already is passed over."""
        causes: list[Cause] = []
        self._check(document, old, None, causes)
        self._check_rest(document, causes)
        self._check_lists(document, old, causes)
        self._run_rules(document, old, causes)
        return causes

    def check_status(self, document: Document, old: Document) -> list[Cause]:
        """What is wrong with a written status."""
        causes: list[Cause] = []
        if self._status is not None and "status" in document:
            before = old.get("status", ABSENT)
            self._status(document["status"], before, (None, "status"), causes)
        if self.scale is not None:
            causes += check_status(document, self.scale)
        self._check_lists(document, old, causes)
        self._run_rules(document, old, causes)
        return causes

    def _run_rules(self, document: Document, old: Any, causes: list[Cause]) -> None:
        rules = self._rules
        if rules is None:
            return
        if any(cause.reason in _BLOCKING for cause in causes):
            causes.append(Cause("<nil>", f"Invalid value: null: {_NOT_CHECKED}"))
            return
        with contextlib.suppress(OutOfBudget):
            rules.check(document, old, None, Run(causes))

    def _check_rest(self, document: Document, causes: list[Cause]) -> None:
        if self.scale is not None:
            causes += check_spec(document, self.scale)
            causes += check_status(document, self.scale)
        if self._embedded is not None:
            self._embedded.check(document, causes)

    def _check_lists(self, document: Document, old: Document, causes: list[Cause]) -> None:
        if self._lists is None:
            return
        found: list[Cause] = []
        self._lists(document, None, found)
        if found:
            before: list[Cause] = []
            self._lists(old, None, before)
            if not before:
                causes += found

    @cached_property
    def _metadata(self) -> Any:
        return self.walkers.of(OBJECT_META, strict=False)

    @cached_property
    def _default(self) -> Any:
        return compile_default(self.schema)

    @cached_property
    def _prune(self) -> Any:
        return compile_prune(self.schema)

    @cached_property
    def _remove_nulls(self) -> Any:
        return compile_null_removal(_without_meta(self.schema))

    @cached_property
    def _embedded(self) -> Any:
        return compile_embedded(self.schema, self.walkers)

    @cached_property
    def _lists(self) -> Any:
        return compile_lists(self.schema)

    @cached_property
    def _rules(self) -> Node | None:
        return compile_rules(self.schema)

    @cached_property
    def _check(self) -> Any:
        return compile_check(self.schema)

    @cached_property
    def _status(self) -> Any:
        status = (self.schema.get("properties") or {}).get("status")
        return None if status is None else compile_check(status)


def _without_meta(schema: Schema) -> Mapping[str, Any]:
    """Metadata is the walker's, which drops nulls itself."""
    properties = {
        name: item for name, item in (schema.get("properties") or {}).items() if name not in META
    }
    return {**schema, "properties": properties}
