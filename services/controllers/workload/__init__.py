"""Controllers of the kinds that run pods."""
