"""CustomResourceDefinitions: their defaults, and their rules, which are in ``crds``."""

from pilothouse.services.apiserver.strategies.strategy import Body, Strategy
from pilothouse.services.machinery.errors import Cause


def default(body: Body) -> None:
    """The names that follow from others, no conversion, and what was ever stored."""
    spec = body["spec"]
    names = spec.setdefault("names", {})
    kind = names.get("kind", "")
    if not names.get("singular"):
        names["singular"] = kind.lower()
    if not names.get("listKind") and kind:
        names["listKind"] = f"{kind}List"
    if not spec.get("conversion"):
        spec["conversion"] = {"strategy": "None"}
    service = ((spec["conversion"].get("webhook") or {}).get("clientConfig") or {}).get("service")
    if service is not None:
        service.setdefault("port", 443)
    _remember_storage(body)


def _remember_storage(body: Body) -> None:
    storage = next((each["name"] for each in body["spec"]["versions"] if each.get("storage")), "")
    status = body.setdefault("status", {})
    kept = list(status.get("storedVersions") or ())
    if storage and storage not in kept:
        status["storedVersions"] = [*kept, storage]


# With the rules come CEL and RE2: loaded with the first definition.


def _check_create(body: Body) -> list[Cause]:
    from pilothouse.services.apiserver.crds import rules  # noqa: PLC0415 - as said

    return rules.check(body)


def _check_update(body: Body, old: Body) -> list[Cause]:
    from pilothouse.services.apiserver.crds import rules  # noqa: PLC0415 - as said

    return rules.check_update(body, old)


def _check_status(body: Body, old: Body) -> list[Cause]:
    from pilothouse.services.apiserver.crds import rules  # noqa: PLC0415 - as said

    return rules.check_status(body, old)


STRATEGY = Strategy(
    default=default,
    check_create=_check_create,
    check_update=_check_update,
    check_status=_check_status,
)
