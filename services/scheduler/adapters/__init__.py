"""The scheduler's way out: what it watches and what it writes at the API server."""
