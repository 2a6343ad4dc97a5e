"""The pure floor: what a Kubernetes object is.

Values and rules only. Nothing here starts a task, opens a file or reads a clock, so every rule can
be tested as a function. What a process needs to live is in :mod:`pilothouse.services.runtime`.
"""
