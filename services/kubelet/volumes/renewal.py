"""When what proves a pod's identity is asked for anew. Pure."""

TOKEN_LIFE_USED = 0.8
TOKEN_AGE_MAX_SECONDS = 24 * 3600.0
RETRY_SECONDS = 30.0
"""Where renewing fails and what there is still holds."""


def token_due(issued_at: float, ends_at: float) -> float:
    """A token is renewed after four fifths of its life, and after a day at the latest."""
    used = issued_at + (ends_at - issued_at) * TOKEN_LIFE_USED
    return min(used, issued_at + TOKEN_AGE_MAX_SECONDS)
