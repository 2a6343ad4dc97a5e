"""What the proposals of all metrics come to: the largest of them, unless some are missing."""

from collections.abc import Sequence
from dataclasses import dataclass

from pilothouse.services.controllers.autoscaling.sizes.proposals import Failure, Proposal
from pilothouse.services.machinery.kinds.autoscaling import Metric, MetricStatus


@dataclass(frozen=True, slots=True)
class Choice:
    """``replicas`` by the metric ``name``; None where none can be chosen because of ``failure``.

    ``error`` may be there beside replicas: some metrics failed, and the others want more.
    """

    replicas: int | None
    name: str
    statuses: tuple[MetricStatus, ...]
    failures: tuple[Failure, ...] = ()
    error: str = ""


def choose(metrics: Sequence[Metric], answers: Sequence[Proposal | Failure], wanted: int) -> Choice:
    """Where a metric is missing nothing shrinks below what is ``wanted`` now."""
    proposals = [answer for answer in answers if isinstance(answer, Proposal)]
    failures = tuple(answer for answer in answers if isinstance(answer, Failure))
    # Each keeps its place: clients show what is asked beside what is.
    statuses = tuple(
        answer.status if isinstance(answer, Proposal) else MetricStatus(type=metric.type)
        for metric, answer in zip(metrics, answers, strict=True)
    )
    error = ""
    if failures:
        error = (
            f"invalid metrics ({len(failures)} invalid out of {len(answers)}), "
            f"first error is: {failures[0].error}"
        )
    best = max(proposals, key=lambda proposal: proposal.replicas, default=None)
    if best is None or (failures and best.replicas < wanted):
        return Choice(None, "", statuses, failures, error)
    return Choice(best.replicas, best.name, statuses, failures, error)
