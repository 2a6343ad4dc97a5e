"""Facts about ValidatingAdmissionPolicies."""

from pilothouse.services.machinery.objects import Metadata, View


class TypeChecking(View, frozen=True, kw_only=True):
    """That expressions have been held against types; the warnings are the API's."""


class Status(View, frozen=True, kw_only=True):
    observed_generation: int = 0
    type_checking: TypeChecking | None = None


class ValidatingAdmissionPolicy(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    status: Status = Status()
