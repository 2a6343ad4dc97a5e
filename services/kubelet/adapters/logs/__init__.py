"""Containers' logs as files."""
