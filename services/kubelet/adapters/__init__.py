"""Outbound: the container runtime, the API server, files, and the node's kernel."""
