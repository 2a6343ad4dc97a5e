"""The kernel and the API server, as the proxy's ports ask for them."""
