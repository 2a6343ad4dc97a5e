"""How a simulated container's life goes: by annotations of its pod. Pure.

A pod of a Job has done its work after a second, as with KWOK; others run until they are asked to
end, and end at once then. Annotations say otherwise, for all containers of the pod:

- ``simulate.pilothouse.io/run-seconds``: its work takes this long, then it exits.
- ``simulate.pilothouse.io/exit-code``: it exits with this code.
- ``simulate.pilothouse.io/stop-seconds``: it takes this long to end when asked to; past its grace
  it is killed.
"""

from dataclasses import dataclass

from pilothouse.services.kubelet.pod.views import Container, Pod
from pilothouse.services.machinery.errors import BadRequest
from pilothouse.services.machinery.objects import controller_of

RUN_SECONDS = "simulate.pilothouse.io/run-seconds"
EXIT_CODE = "simulate.pilothouse.io/exit-code"
STOP_SECONDS = "simulate.pilothouse.io/stop-seconds"
JOB_SECONDS = 1.0
EXIT_CODE_MAX = 255


@dataclass(frozen=True, slots=True)
class Course:
    """``run_seconds`` None: until it is asked to end."""

    run_seconds: float | None = None
    exit_code: int = 0
    stop_seconds: float = 0.0


def of(pod: Pod, spec: Container) -> Course:
    """A container's course; BadRequest names an annotation that can not be read."""
    run = _number(pod, RUN_SECONDS)
    code = _number(pod, EXIT_CODE) or 0.0
    stop = _number(pod, STOP_SECONDS) or 0.0
    if not code.is_integer() or code > EXIT_CODE_MAX:
        raise BadRequest(f"annotation {EXIT_CODE}: must be from 0 to {EXIT_CODE_MAX}")
    if spec.is_sidecar:
        return Course(stop_seconds=stop)
    if spec in pod.spec.init_containers:
        return Course(0.0, 0, stop)
    owner = controller_of(pod.metadata)
    if run is None and owner is not None and owner.kind == "Job":
        run = JOB_SECONDS
    if run is None and code:
        run = 0.0
    return Course(run, int(code), stop)


def _number(pod: Pod, name: str) -> float | None:
    text = pod.metadata.annotations.get(name)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number < float("inf"):
        raise BadRequest(f"annotation {name}: {text!r} is not a number from 0 on")
    return number
