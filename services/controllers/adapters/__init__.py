"""What the controllers ask for, answered from caches and the API server."""
