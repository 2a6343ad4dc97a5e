"""Expressions of policies held against the types of what they are about."""
