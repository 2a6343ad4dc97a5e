"""What the workloads' controllers ask for."""
