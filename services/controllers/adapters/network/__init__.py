"""What the controllers of Services and of their addresses ask for."""
