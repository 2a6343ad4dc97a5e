"""What makes pods: Deployments, Jobs and their kin."""
