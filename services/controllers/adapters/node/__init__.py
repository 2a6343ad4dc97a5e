"""What the nodes' controllers ask for."""
