"""gRPC servers and channels: mutual TLS, health, reflection, and the one translation of errors."""
