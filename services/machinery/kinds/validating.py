"""Facts about ValidatingAdmissionPolicies."""

from msgspec import field

from pilothouse.services.machinery.objects import Metadata, View


class ResourceRule(View, frozen=True, kw_only=True):
    """Which requests are meant."""

    api_groups: tuple[str, ...] = ()
    api_versions: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()


class MatchConstraints(View, frozen=True, kw_only=True):
    resource_rules: tuple[ResourceRule, ...] = ()


class Validation(View, frozen=True, kw_only=True):
    expression: str = ""
    message_expression: str = ""


class ParamKind(View, frozen=True, kw_only=True):
    """The kind of what a binding gives it as ``params``."""

    api_version: str = ""
    kind: str = ""


class Variable(View, frozen=True, kw_only=True):
    """What later expressions know as ``variables.NAME``."""

    name: str = ""
    expression: str = ""


class Spec(View, frozen=True, kw_only=True):
    param_kind: ParamKind | None = None
    match_constraints: MatchConstraints = MatchConstraints()
    variables: tuple[Variable, ...] = ()
    validations: tuple[Validation, ...] = ()


class ExpressionWarning(View, frozen=True, kw_only=True):
    """An expression that does not fit what the policy is about."""

    field_ref: str = ""
    warning: str = ""


class TypeChecking(View, frozen=True, kw_only=True):
    """That expressions have been held against types, and what came of it."""

    expression_warnings: tuple[ExpressionWarning, ...] | None = field(default=())


class Status(View, frozen=True, kw_only=True):
    observed_generation: int = 0
    type_checking: TypeChecking | None = None


class ValidatingAdmissionPolicy(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: Spec = Spec()
    status: Status = Status()
