"""The scheduler's gRPC door."""
