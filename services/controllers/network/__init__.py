"""Controllers that tell who is behind a Service."""
