"""What autoscalers ask for: scales and metrics."""
