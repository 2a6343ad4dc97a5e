"""The ``pilothouse`` command: one verb a service, and the verbs that run a cluster."""
