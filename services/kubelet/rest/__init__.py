"""Inbound HTTPS: what the API server asks of a node on behalf of people."""
