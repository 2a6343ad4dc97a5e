"""The options of create, update and patch, out of a query; and who it is that writes."""

from functools import lru_cache
from typing import Literal

from pilothouse.services.apiserver.requests import FieldValidation, PatchType, WriteOptions
from pilothouse.services.apiserver.rest.exchange import Exchange
from pilothouse.services.apiserver.rest.paths import TRUE
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause, Invalid, Subject

MANAGER_LENGTH_MAX = 128
_VALIDATIONS: dict[str, FieldValidation] = {
    "": "Warn", "Ignore": "Ignore", "Strict": "Strict", "Warn": "Warn",
}  # fmt: skip

Verb = Literal["Create", "Update", "Patch"]


def write_options(exchange: Exchange, verb: Verb, patch: PatchType | None = None) -> WriteOptions:
    """What the query says.

    Raises:
        Invalid: a value is none; an apply names no manager; a patch of another sort is forced.
    """
    query = exchange.query
    manager, force = query.get("fieldManager", ""), query.get("force")
    dry_run, validation = query.get("dryRun"), query.get("fieldValidation", "")
    causes: list[Cause] = []
    if patch == "apply":
        if not manager:
            causes.append(names.required("fieldManager", "is required for apply patch"))
    elif patch is not None and force is not None:
        causes.append(names.forbidden("force", "may not be specified for non-apply patch"))
    if manager:
        causes += _check_manager(manager)
    if dry_run not in {None, "All"}:
        causes.append(names.unsupported("dryRun", [dry_run], ("All",)))
    if validation not in _VALIDATIONS:
        causes.append(names.unsupported("fieldValidation", validation, sorted(_VALIDATIONS)))
    if causes:
        raise _invalid(f"{verb}Options", causes)
    return WriteOptions(
        dry_run=dry_run is not None,
        field_manager=manager,
        field_validation=_VALIDATIONS[validation],
        force=force is not None and (force == "" or force in TRUE),
        agent=program(exchange.request.headers.get("User-Agent", "")),
    )


def _check_manager(manager: str) -> list[Cause]:
    causes = []
    if len(manager.encode(errors="replace")) > MANAGER_LENGTH_MAX:
        causes.append(names.too_long("fieldManager", MANAGER_LENGTH_MAX))
    if not manager.isprintable():
        at = next(index for index, letter in enumerate(manager) if not letter.isprintable())
        shown = f"U+{ord(manager[at]):04X}"
        detail = f"invalid character {shown} (at position {at})"
        causes.append(names.invalid("fieldManager", manager, detail))
    return causes


def _invalid(kind: str, causes: list[Cause]) -> Invalid:
    told = [f"{cause.field}: {cause.message}" for cause in causes]
    shown = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    subject = Subject(group="meta.k8s.io", kind=kind)
    return Invalid(f'{kind}.meta.k8s.io "" is invalid: {shown}', subject=subject, causes=causes)


@lru_cache(maxsize=256)
def program(agent: str) -> str:
    """The name of the program that a User-Agent begins with: ``kubectl`` of ``kubectl/v1.37``."""
    name = "".join(letter for letter in agent.partition("/")[0] if letter.isprintable())
    return name.encode(errors="replace")[:MANAGER_LENGTH_MAX].decode(errors="ignore")
