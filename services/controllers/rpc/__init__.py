"""The gRPC face of this service: what the loops are doing."""
