"""Volumes, claims, classes and devices."""
