"""CRI's gRPC services: decode, one call, encode."""
