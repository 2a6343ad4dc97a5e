"""What the proxy serves: ``mesh.v1.Rules``."""
