"""Custom objects: their schema's rules."""

from pilothouse.services.apiserver.kinds.custom import Treatment
from pilothouse.services.apiserver.strategies.strategy import Strategy


def of(treatment: Treatment) -> Strategy:
    """The strategy of one version. Defaults are filled when a body is read."""
    return Strategy(
        check_create=treatment.check,
        check_update=treatment.check_update,
        check_status=treatment.check_status,
    )
