"""The controller manager: one loop a kind, all in one process, level-triggered."""
