"""Sets that were written under another schema: what was granular may be atomic now."""

from pilothouse.services.machinery.fields.fieldset import LEAF, FieldSet, is_member
from pilothouse.services.machinery.fields.paths import SELF
from pilothouse.services.machinery.fields.types import DEDUCED, Type


def reconciled(kind: Type, fields: FieldSet) -> FieldSet:
    """``fields`` as ``kind`` sees them: parts of what is atomic become the whole of it.

    The very same set when there is nothing to change.
    """
    result: FieldSet | None = None
    for element, node in fields.items():
        if element == SELF or not node:
            continue
        inner = _below(kind, element)
        if inner is None:
            continue
        now = LEAF if _is_atomic(inner, node) else reconciled(inner, node)
        if now is not node:
            result = result or dict(fields)
            result[element] = {SELF: LEAF, **now} if now and is_member(node) else now
    return fields if result is None else result


def _below(kind: Type, element: str) -> Type | None:
    if element[0] == "f":
        inner = kind.fields.get(element[2:]) or kind.element
        return None if inner is DEDUCED else inner
    return kind.item if kind.is_list and not kind.atomic_list else None


def _is_atomic(kind: Type, node: FieldSet) -> bool:
    by_name = any(element[0] == "f" for element in node if element != SELF)
    return kind.atomic_map if by_name else kind.is_list and kind.atomic_list
