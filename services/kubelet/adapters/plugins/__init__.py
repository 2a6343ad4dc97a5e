"""Device plugins and their sockets."""
