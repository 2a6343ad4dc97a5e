"""The gRPC door: ``pilothouse.mesh.v1.Objects`` for our own components and for grpcurl."""
