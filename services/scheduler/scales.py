"""From counts to scores: 0 to 100, so that weights mean the same for every plugin."""

import numpy as np

from pilothouse.services.scheduler.columns import Amounts, Ids, Scores
from pilothouse.services.scheduler.framework import SCORE_MAX


def rising(values: Scores | Amounts) -> Scores | None:
    """The most gets 100, the least 0; None where all are alike."""
    least, most = values.min(), values.max()
    if least == most:
        return None
    scores: Scores = np.subtract(values, least, dtype=np.float64)
    scores *= SCORE_MAX / float(most - least)
    return scores


def falling(counts: Ids | Amounts) -> Scores | None:
    """None of it gets 100, the most 0; None where there is none of it anywhere."""
    most = counts.max()
    if most == 0:
        return None
    scores: Scores = np.subtract(most, counts, dtype=np.float64)
    scores *= SCORE_MAX / float(most)
    return scores
