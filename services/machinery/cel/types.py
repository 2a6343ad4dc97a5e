"""Static types of expressions, and which of them fits another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Type:
    """One type: `kind` selects the rules, `name` is what users read, `params` its type arguments.

    Kinds: bool int uint double string bytes null timestamp duration dyn error list map type
    struct (objects with declared fields) opaque (optional_type and library types) param.
    """

    __slots__ = ("fields", "kind", "name", "params")

    def __init__(self, kind: str, name: str, params: tuple[Type, ...] = ()) -> None:
        self.kind = kind
        self.name = name
        self.params = params
        # Of a struct: its fields by escaped name. Filled in by who declares the struct.
        self.fields: Mapping[str, Type] | None = None

    @override
    def __str__(self) -> str:
        if self.kind == "type":
            return f"type({self.params[0]})" if self.params else "type"
        shown = _SHOWN.get(self.kind, self.name)
        if self.params:
            return f"{shown}({', '.join(map(str, self.params))})"
        return shown

    @override
    def __repr__(self) -> str:
        return f"<Type {self}>"


_SHOWN = {"error": "!error!", "null": "null"}


def _simple(name: str) -> Type:
    return Type(name, name)


BOOL, INT, UINT, DOUBLE = _simple("bool"), _simple("int"), _simple("uint"), _simple("double")
STRING, BYTES, NULL, DYN, ERROR = (
    _simple("string"),
    _simple("bytes"),
    _simple("null"),
    _simple("dyn"),
    _simple("error"),
)
TIMESTAMP, DURATION, TYPE = _simple("timestamp"), _simple("duration"), _simple("type")
QUANTITY, URL = Type("struct", "kubernetes.Quantity"), Type("struct", "kubernetes.URL")
FORMAT, SEMVER = Type("struct", "kubernetes.NamedFormat"), Type("struct", "kubernetes.Semver")
IP, CIDR = Type("opaque", "net.IP"), Type("opaque", "net.CIDR")
AUTHORIZER = Type("struct", "kubernetes.authorization.Authorizer")
PATH_CHECK = Type("struct", "kubernetes.authorization.PathCheck")
GROUP_CHECK = Type("struct", "kubernetes.authorization.GroupCheck")
RESOURCE_CHECK = Type("struct", "kubernetes.authorization.ResourceCheck")
DECISION = Type("struct", "kubernetes.authorization.Decision")

NAMED = {
    str(t): t
    for t in (BOOL, INT, UINT, DOUBLE, STRING, BYTES, NULL, DYN, TIMESTAMP, DURATION, TYPE)
} | {
    t.name: t
    for t in (
        QUANTITY,
        URL,
        FORMAT,
        SEMVER,
        IP,
        CIDR,
        AUTHORIZER,
        PATH_CHECK,
        GROUP_CHECK,
        RESOURCE_CHECK,
        DECISION,
    )
}


def list_of(element: Type) -> Type:
    """The type of lists of one element type."""
    return Type("list", "list", (element,))


def map_of(key: Type, value: Type) -> Type:
    """The type of maps of one key and value type."""
    return Type("map", "map", (key, value))


def optional_of(value: Type) -> Type:
    """The type of optional values."""
    return Type("opaque", "optional_type", (value,))


def type_of(value: Type) -> Type:
    """The type of a type."""
    return Type("type", "type", (value,))


def struct(name: str, fields: Mapping[str, Type]) -> Type:
    """An object type with declared fields, by their escaped names."""
    result = Type("struct", name)
    result.fields = fields
    return result


def is_optional(value: Type) -> bool:
    return value.kind == "opaque" and value.name == "optional_type"


def same(one: Type, other: Type) -> bool:
    """Whether two types are exactly equal."""
    if one is other:
        return True
    if one.kind != other.kind or one.name != other.name or len(one.params) != len(other.params):
        return False
    return all(map(same, one.params, other.params))


Bindings = dict[str, Type]
_NULLABLE = frozenset(("opaque", "struct", "timestamp", "duration"))


class Unification:
    """What the type parameters met so far stand for; grows as expressions are checked."""

    def __init__(self) -> None:
        self._bound: Bindings = {}
        self._count = 0

    def fresh(self) -> Type:
        """A new unbound type parameter."""
        self._count += 1
        return Type("param", f"_var{self._count - 1}")

    def assignable(self, to: Iterable[Type], values: Iterable[Type]) -> bool:
        """Whether each value's type fits; what that binds is kept only if all do."""
        kept = self._bound.copy()
        if all(self._fits(one, other) for one, other in zip(to, values, strict=True)):
            return True
        self._bound = kept
        return False

    def _fits(self, one: Type, other: Type) -> bool:  # noqa: PLR0911 - one case a line
        if other.kind == "param":
            valid, known = self._substitutes(one, other)
            if valid or known:
                return valid
        if one.kind == "param":
            return self._substitutes(other, one)[0]
        if one.kind in ("dyn", "error") or other.kind in ("dyn", "error"):
            return True
        if one.kind == "null":
            return other.kind == "null" or other.kind in _NULLABLE
        if other.kind == "null":
            return one.kind in _NULLABLE
        if one.kind != other.kind:
            return False
        if one.kind == "type":
            return True
        if one.name != other.name or len(one.params) != len(other.params):
            return False
        return all(map(self._fits, one.params, other.params))

    def _substitutes(self, value: Type, param: Type) -> tuple[bool, bool]:
        """(whether the value's type may stand for the parameter, whether that was bound)."""
        if same(value, param):
            return True, True
        bound = self._bound.get(param.name)
        if bound is None:
            if self._free_of(param, value):
                self._bound[param.name] = value
                return True, False
            return False, False
        if same(value, bound):
            return True, True
        if self._fits(value, bound):
            general = more_general(value, bound)
            if self._free_of(param, general):
                self._bound[param.name] = general
            return True, True
        return False, True

    def _free_of(self, param: Type, within: Type) -> bool:
        if same(param, within):
            return False
        if within.kind == "param":
            bound = self._bound.get(within.name)
            return bound is None or self._free_of(param, bound)
        return all(self._free_of(param, p) for p in within.params)

    def resolve(self, value: Type, final: bool = False) -> Type:
        """The type with bound parameters replaced; with `final` unbound ones become dyn."""
        if value.kind == "param":
            bound = self._bound.get(value.name)
            if bound is not None:
                return self.resolve(bound, final)
            return DYN if final else value
        if not value.params:
            return value
        params = tuple(self.resolve(p, final) for p in value.params)
        if all(map(lambda a, b: a is b, params, value.params)):
            return value
        return Type(value.kind, value.name, params)


def more_general(one: Type, other: Type) -> Type:
    """The less specific of two types that fit each other."""
    return one if _covers(one, other) else other


def _covers(one: Type, other: Type) -> bool:
    if one.kind in ("dyn", "param"):
        return True
    if other.kind in ("dyn", "param") or one.kind != other.kind:
        return False
    if one.kind == "type":
        return True
    if one.name != other.name or len(one.params) != len(other.params):
        return False
    return all(map(_covers, one.params, other.params))
