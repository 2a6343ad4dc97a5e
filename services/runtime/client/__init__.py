"""The API server as its clients see it: calls, caches that follow a kind, events, leases."""
