"""Sets of fields, as the trees that FieldsV1 shows, and their arithmetic.

A node maps elements of paths to nodes. ``{}`` is a member without children; a member that has
children says so with ``"."``; a node without it only leads to its children. The root stands for
no field. Sets are values: nothing here changes one, and results share what they can.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from pilothouse.services.machinery.fields import paths
from pilothouse.services.machinery.fields.paths import SELF, Malformed

FieldSet: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]

LEAF: FieldSet = {}
"""A member without children. Not to be changed."""

_DEPTH_MAX = 200


def is_member(node: FieldSet) -> bool:
    return not node or SELF in node


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in either."""
    if not one or not other:
        return one or other
    return _joined(one, other)


def _joined(one: FieldSet, other: FieldSet) -> FieldSet:
    result = dict(one)
    for element, theirs in other.items():
        ours = result.get(element)
        if ours is None or element == SELF:
            result[element] = theirs
        elif ours is not theirs:
            result[element] = _joined_nodes(ours, theirs)
    return result


def _joined_nodes(one: FieldSet, other: FieldSet) -> FieldSet:
    if one and other:
        return _joined(one, other)
    rest = one or other
    return rest if not rest or SELF in rest else {SELF: LEAF, **rest}


def difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """The members of ``one`` that are none of ``other``; children of those may stay."""
    if not one or not other:
        return one
    return _without(one, other)


def _without(one: FieldSet, other: FieldSet) -> FieldSet:
    result: FieldSet = {}
    for element, ours in one.items():
        if element == SELF:
            continue
        theirs = other.get(element)
        if theirs is None:
            result[element] = ours
            continue
        member = is_member(ours) and not is_member(theirs)
        _put(result, element, _without(ours, theirs), member=member)
    return result


def recursive_difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """The same, but a member of ``other`` takes all that is under it along."""
    result: FieldSet = {}
    for element, ours in one.items():
        if element == SELF:
            continue
        theirs = other.get(element)
        if theirs is None:
            result[element] = ours
        elif not is_member(theirs):
            children = recursive_difference(ours, theirs)
            _put(result, element, children, member=is_member(ours))
    return result


def intersection(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in both."""
    result: FieldSet = {}
    for element, ours in one.items():
        theirs = other.get(element)
        if theirs is None or element == SELF:
            continue
        member = is_member(ours) and is_member(theirs)
        _put(result, element, intersection(ours, theirs), member=member)
    return result


def _put(result: FieldSet, element: str, children: FieldSet, *, member: bool) -> None:
    if member:
        result[element] = {SELF: LEAF, **children} if children else LEAF
    elif children:
        result[element] = children


def has(fields: FieldSet, path: Sequence[str]) -> bool:
    """Whether ``path`` is a member."""
    for element in path:
        node = fields.get(element)
        if node is None:
            return False
        fields = node
    return bool(path) and is_member(fields)


def of_paths(*members: Sequence[str]) -> FieldSet:
    """A set of these; a path ``("spec", "replicas")`` names fields."""
    result: FieldSet = {}
    for names in members:
        one: FieldSet = LEAF
        for name in reversed(names):
            one = {f"f:{name}": one}
        result = union(result, one)
    return result


def members(fields: FieldSet, prefix: Path = ()) -> Iterator[Path]:
    """Every member in order: those of one level first, then what is below each."""
    elements = sorted((name for name in fields if name != SELF), key=paths.order)
    for element in elements:
        if is_member(fields[element]):
            yield (*prefix, element)
    for element in elements:
        yield from members(fields[element], (*prefix, element))


def from_json(value: Any, depth: int = 0) -> FieldSet:
    """The set that a FieldsV1 from outside shows, in its one spelling.

    Raises:
        Malformed: it is none.
    """
    if not isinstance(value, Mapping):
        raise Malformed("a set of fields must be an object")
    if depth > _DEPTH_MAX:
        raise Malformed("the set of fields is nested too deep")
    result: FieldSet = {}
    for text, below in value.items():
        if text == SELF:
            if depth:
                result[SELF] = LEAF
            continue
        element = paths.canonical(text)
        if element is None:
            continue
        node = from_json(below, depth + 1)
        if element in result:
            node = _joined_nodes(result[element], node)
        result[element] = node
    # A node that marks only itself is a member without children.
    return result if len(result) > 1 or SELF not in result else LEAF
