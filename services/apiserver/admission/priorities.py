"""Priority: of classes, one at most is the global default."""

import msgspec

from pilothouse.services.apiserver.admission.request import Admission


def review(request: Admission) -> None:
    """Forbidden when another class is the global default already."""
    if not request.document.get("globalDefault"):
        return
    for stored in request.live.objects("scheduling.k8s.io", "priorityclasses"):
        if stored.key.name == request.key.name:
            continue
        if msgspec.json.decode(stored.json).get("globalDefault"):
            raise request.forbidden(
                f"PriorityClass {request.key.name} is not allowed: PriorityClass "
                f"{stored.key.name} is already marked as default. Only one default can exist"
            )
