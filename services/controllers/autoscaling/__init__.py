"""Controllers that set how many replicas there are."""
