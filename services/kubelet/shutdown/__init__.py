"""Graceful node shutdown: the machine waits while pods end, the important ones last."""
