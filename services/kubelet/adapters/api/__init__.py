"""The API server as one node needs it."""
