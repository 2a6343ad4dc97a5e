"""Endpoints, the older form of EndpointSlice."""

from pilothouse.services.apiserver.strategies.strategy import Body, Strategy
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause


def _default(body: Body) -> None:
    for subset in body.get("subsets") or ():
        for port in subset.get("ports") or ():
            port.setdefault("protocol", "TCP")


def _check(body: Body) -> list[Cause]:
    return [
        names.required(f"subsets[{index}]", "must specify `addresses` or `notReadyAddresses`")
        for index, subset in enumerate(body.get("subsets") or ())
        if not subset.get("addresses") and not subset.get("notReadyAddresses")
    ]


STRATEGY = Strategy(default=_default, check=_check)
