"""How hypothesis searches: the same examples in every run of the gate, and no clock.

``HYPOTHESIS_PROFILE=search`` looks for new ones each time.
"""

import os

from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow]

settings.register_profile(
    "gate", deadline=None, derandomize=True, database=None, suppress_health_check=SLOW
)
settings.register_profile("search", deadline=None, suppress_health_check=SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))
