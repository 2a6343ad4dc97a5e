"""Figures of ours beside those of Kubernetes, one file a table."""
