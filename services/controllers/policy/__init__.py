"""Controllers of ``policy/v1``."""
